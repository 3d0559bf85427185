"""Circuit breaker of one unit: a unit that says nothing is left alone for a while, so that its line serves the others. Pure."""

from __future__ import annotations

from dataclasses import dataclass

OPEN_AFTER = 3
"""Failures in a row."""
FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 8.0
"""A unit that comes back is seen within this time."""
ROUNDING_S = 1e-3
"""A pause added to a time and taken off again may be a little longer."""


@dataclass(frozen=True)
class Circuit:
    """What is known of a unit's silence."""

    failures: int = 0
    """In a row."""
    closed_at_s: float = 0.0
    """From then on it is asked again."""


def may_ask(circuit: Circuit, now_s: float) -> bool:
    """Whether the unit is worth a request now. A clock that jumped back by more than the longest pause counts as having waited."""
    return circuit.failures < OPEN_AFTER or now_s >= circuit.closed_at_s or circuit.closed_at_s - now_s > MAX_PAUSE_S + ROUNDING_S


def after_failure(circuit: Circuit, now_s: float) -> Circuit:
    """One more failure: from the third on, a pause that doubles with each."""
    failures = circuit.failures + 1
    if failures < OPEN_AFTER:
        return Circuit(failures)
    return Circuit(failures, now_s + min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures - OPEN_AFTER, 16)))
