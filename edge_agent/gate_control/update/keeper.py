"""Who starts and restarts the gate process: systemd."""

from __future__ import annotations

import subprocess
from typing import Protocol

from edge_agent.gate_control.update.next_step import Process
from shared.errors import Permanent

UNIT = "munbon-gate.service"
ASK_S = 10.0
_ENDED = frozenset({"auto-restart", "auto-restart-queued", "failed"})


class Keeper(Protocol):
    """Restarts the process and tells how it stands."""

    def restart(self) -> None: ...

    def state(self) -> Process: ...


class Systemctl:
    """The unit, through `systemctl`."""

    def __init__(self, unit: str = UNIT) -> None:
        self._unit = unit

    def restart(self) -> None:
        """Ask for a restart and do not wait for it: the caller looks at the process itself.

        Raises:
            Permanent: systemd did not take it.
        """
        done = self._ask("restart", "--no-block", self._unit)
        if done.returncode != 0:
            raise Permanent(f"systemctl restart failed: {done.stderr.strip()}", subject=self._unit, remedy="run it as root")

    def state(self) -> Process:
        """Down where the process ended by itself and waits for its next start."""
        done = self._ask("show", "--property=SubState", "--value", self._unit)
        if done.returncode != 0:
            return Process.UNKNOWN
        return Process.DOWN if done.stdout.strip() in _ENDED else Process.UP

    def _ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(["systemctl", *words], capture_output=True, text=True, timeout=ASK_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Permanent(f"systemctl cannot be asked: {error}", subject=self._unit, remedy="is this a machine with systemd?") from error
