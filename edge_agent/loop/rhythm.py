"""When an app's next pass is due: fast while something moves, slow otherwise, slower still where a hand fights us."""

from __future__ import annotations

from collections.abc import Callable

from edge_agent.decide.steps import AppFacts, Fetch, Hold, Idle, Step, WaitHealth
from edge_agent.model import ConvergeResult
from shared.contracts.status import AppPhase

SWEEP_S = 300.0
"""Compare everything so often, also without a hint: a watch may miss what had its label taken away."""
FULL_SWEEP_S = 6 * 3_600.0
LOOK_S = 30.0
FAST_S = 0.7
_HOLD_S = 1.0
_FETCH_S = 5.0
_SOON_S = 3.0
_LONGEST_WORLD_S = 15.0
_LONGEST_FIGHT_S = 60.0
_FORGIVEN_S = 120.0


class Rhythm:
    """Of one app. Times are monotonic seconds."""

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self._hinted_sweep = False
        self._hinted_look = False
        self._next_sweep_s = 0.0
        self._next_look_s = 0.0
        self._not_before_s = 0.0
        self._corrections = 0
        self._corrected_s = 0.0
        self._failures = 0
        self._world_waits = 0
        self._full_s: float | None = None

    def note_hint(self, is_content: bool, now_s: float) -> None:
        """An object changed: its content, or only its status."""
        self._hinted_sweep = self._hinted_sweep or is_content
        self._hinted_look = True
        if self._corrections and now_s - self._corrected_s > _FORGIVEN_S:
            self._corrections = 0

    def wants_sweep(self, now_s: float) -> bool:
        """Whether the app is due for a comparison."""
        return now_s >= self._not_before_s and (self._hinted_sweep or now_s >= self._next_sweep_s)

    def wants_look(self, now_s: float) -> bool:
        """Whether the app is due for a look at its health."""
        return self._hinted_look or now_s >= self._next_look_s

    def is_full_sweep(self, now_s: float) -> bool:
        """Whether this comparison is to trust nothing that is remembered."""
        if self._full_s is None or now_s - self._full_s < FULL_SWEEP_S:
            self._full_s = self._full_s if self._full_s is not None else now_s
            return False
        self._full_s = now_s
        return True

    def note_sweep(self, result: ConvergeResult, is_heal: bool, now_s: float) -> None:
        """A comparison was made. One that failed is soon tried again; one that corrected, ever later as long as it goes on."""
        self._hinted_sweep = False
        if result.cause is not None:
            self._failures += 1
            self._next_sweep_s = now_s + min(60.0, _SOON_S * 2.0 ** min(self._failures, 6))
            return
        self._failures = 0
        self._next_sweep_s = now_s + (FAST_S if result.waiting else SWEEP_S * (0.9 + 0.2 * self._draw()))
        if is_heal and any(change.action in ("created", "configured") for change in result.changes):
            # two that both insist would otherwise write without end
            self._corrections += 1
            self._corrected_s = now_s
            self._not_before_s = now_s + min(_LONGEST_FIGHT_S, 0.25 * 2.0 ** min(self._corrections, 10))

    def note_look(self, now_s: float) -> None:
        """Health was looked at."""
        self._hinted_look = False
        self._next_look_s = now_s + LOOK_S

    def pause_s(self, step: Step, facts: AppFacts, now_s: float) -> float:
        """Seconds until the next pass, unless something wakes it before."""
        if not isinstance(step, WaitHealth) or step.counts:
            self._world_waits = 0
        match step:
            case WaitHealth():
                return self._wait_s(step, facts)
            case Hold():
                return _HOLD_S
            case Fetch():
                return _FETCH_S
            case Idle(phase):
                return self._idle_s(phase, facts, now_s)
            case _:
                return LOOK_S

    def _wait_s(self, step: WaitHealth, facts: AppFacts) -> float:
        if step.counts:
            return FAST_S
        hand = facts.record.hand
        if hand is not None and hand.gave_up:
            return _SOON_S
        self._world_waits += 1
        return min(_LONGEST_WORLD_S, 2.0 ** min(self._world_waits - 1, 6))

    def _idle_s(self, phase: AppPhase, facts: AppFacts, now_s: float) -> float:
        if phase is AppPhase.REMOVING:
            return FAST_S
        if facts.unreachable or facts.record.prune_due or phase is AppPhase.DEGRADED:
            self._next_look_s = min(self._next_look_s, now_s + _SOON_S)
            return _SOON_S
        due_s = min(self._next_sweep_s, self._next_look_s)
        if self._hinted_sweep:
            due_s = min(due_s, self._not_before_s)
        return min(LOOK_S, max(0.1, due_s - now_s))
