"""Whether the wall clock can run schedules and orders."""

from __future__ import annotations

from pathlib import Path

from edge_agent.gate_control.model.values import Now
from shared.clock import Clock
from shared.observability import get_logger

log = get_logger("gate.clock")


class ClockTrust:
    """Whether the wall clock can run schedules: it was synchronised once since boot.

    A marker in a folder that does not outlive the boot carries that over a restart of the process, also with the link down.
    """

    def __init__(self, clock: Clock, marker: Path) -> None:
        self._clock = clock
        self._marker = marker
        self._trusted = False

    def now(self) -> Now:
        """The time, and whether its wall part is trusted."""
        if not self._trusted:
            self._trusted = self._marked() or self._clock.is_synchronised()
            if self._trusted:
                self._mark()
        return Now(self._clock.monotonic_s(), self._clock.wall(), self._trusted)

    def _marked(self) -> bool:
        try:
            return self._marker.read_text() == self._clock.boot_id()
        except OSError:
            return False

    def _mark(self) -> None:
        try:
            self._marker.write_text(self._clock.boot_id())
        except OSError as error:
            log.warning("clock marker cannot be written", path=str(self._marker), reason=str(error))
