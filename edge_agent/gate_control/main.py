"""`munbon-gate`: run the gate control of a site, check its configuration, ask a running one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.gate_control.loop.lean import leave_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.gate_control.check.finding import Finding
    from edge_agent.gate_control.console.cli import AddCommands
    from edge_agent.gate_control.model.configuration import SiteConfiguration


def main() -> None:
    """Entry point of the command."""
    leave_out()
    # only now: much of what this imports would bring along what is left out
    from edge_agent.gate_control.console.cli import run_command

    # the process that controls stays light without what asks it, what looks back and what updates it
    is_run = sys.argv[1:2] == ["run"]
    sys.exit(run_command(None, _run_site, () if is_run else more_commands(), is_run=is_run))


def more_commands() -> tuple[AddCommands, ...]:
    """The commands of folders that the console does not know."""
    from edge_agent.gate_control.lookback import commands as lookback
    from edge_agent.gate_control.update import commands as update

    return lookback.add_commands, update.add_commands


def _run_site(site: SiteConfiguration, folder: Path, findings: Sequence[Finding]) -> int:
    # only now: the other commands stay light without it
    from edge_agent.gate_control.loop.service import run_service

    return run_service(site, folder, findings)


if __name__ == "__main__":
    main()
