"""What disturbs a plant by a schedule of its own: offtakes that change without a word to anybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class DemandChange:
    """From `at_s` of the plant's time an offtake takes `flow_m3s`."""

    at_s: float
    offtake: str
    flow_m3s: float


class Demands:
    """The flow that each offtake wants now."""

    def __init__(self, flows_m3s: dict[str, float], changes: Sequence[DemandChange] = ()) -> None:
        """A change of an unknown offtake raises a KeyError that names it."""
        self.flows_m3s = dict(flows_m3s)
        for change in changes:
            if change.offtake not in flows_m3s:
                raise KeyError(change.offtake)
        self._waiting = sorted(changes, key=lambda change: change.at_s)

    def advance(self, time_s: float) -> bool:
        """Carry out what is due; whether anything was."""
        due = False
        while self._waiting and self._waiting[0].at_s <= time_s:
            change = self._waiting.pop(0)
            self.flows_m3s[change.offtake] = change.flow_m3s
            due = True
        return due
