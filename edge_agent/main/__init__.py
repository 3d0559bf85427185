"""`munbon-agent`: the program. Wires the parts together, and speaks with systemd and with people on the node.

Takes: a configuration file, signals, requests on its own socket.
Gives: a running agent, its status, exit codes.
May import: everything of the agent.
Never: decides anything about apps.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the command."""
    from edge_agent.main import memory

    memory.prepare()
    # only now, so that it holds
    from edge_agent.main.cli import run_command

    sys.exit(run_command(sys.argv[1:]))
