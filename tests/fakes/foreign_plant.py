"""A plant as somebody else might write it: one tank behind one gate, which tells what it likes, when it likes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from edge_agent.gate_control.simulation import PlantCommand, Sample, aim_pct

PCT_PER_S = 1.0
Tell = Callable[["Tank"], Iterable[Sample]]


class Tank:
    """`tell` says what is new at a time; the gate travels one percent in a second."""

    def __init__(self, tell: Tell, *, step_s: float = 0.1, refuse: Callable[[Tank], bool] = lambda tank: False) -> None:
        self.time_s = 0.0
        self.position_pct = 20.0
        self.level_m = 1.0
        self.written: list[tuple[float, PlantCommand]] = []
        self._aim_pct = 20.0
        self._tell = tell
        self._step_s = step_s
        self._refuse = refuse
        self._told_at_s = -1.0

    def advance(self, until_s: float) -> None:
        """Whole steps."""
        while self.time_s + self._step_s <= until_s + 1e-9:
            self.time_s = round(self.time_s + self._step_s, 6)
            way_pct = PCT_PER_S * self._step_s
            self.position_pct += max(-way_pct, min(way_pct, self._aim_pct - self.position_pct))

    def samples(self) -> list[Sample]:
        """Nothing while time stands still."""
        if self._told_at_s == self.time_s:
            return []
        self._told_at_s = self.time_s
        return list(self._tell(self))

    def write(self, gate: str, command: PlantCommand) -> None:
        """As told, or not at all."""
        if self._refuse(self):
            raise OSError("the line is noisy")
        self.written.append((self.time_s, command))
        self._aim_pct = aim_pct(command, self.position_pct)

    def position(self) -> Sample:
        """Where the gate stands, true."""
        return Sample("g1.position", self.position_pct, self.time_s)
