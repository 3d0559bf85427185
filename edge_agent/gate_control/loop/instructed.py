"""What people ask, inside a scan: taken from the desk before the decision, answered after the commands were written.

The scan waits for the desk's `arrived` beside its grid, and does at once what a grid scan does. In it:

    carried = carry_out_all(state, desk.take(), rules, now)
    decision = decide(carried.state, ...); outcomes = act(decision.commands)
    carried.answer(decision.reasons, errors of the outcomes)     # in any case: in a `finally` the scan's own failure is told
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edge_agent.gate_control.console.desk import Pending
from edge_agent.gate_control.decide.alarms import AlarmChange, AlarmRules
from edge_agent.gate_control.decide.instructions import Outcome, carry_out
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.model.values import Now

SCAN_FAILED = Outcome(False, "Interrupted", "the scan that carried it out failed: look at the gate, and send a new command if it is needed")


@dataclass(frozen=True)
class Carried:
    """The site after what was asked, and who waits for an answer."""

    state: SiteState
    alarm_changes: tuple[AlarmChange, ...] = ()
    waiting: tuple[tuple[Pending, Outcome], ...] = ()

    def answer(self, reasons: Mapping[str, Sequence[str]], errors: Mapping[str, str] | None = None) -> None:
        """Tell everybody what became of it: the outcome, and what the gate does now or what holds it.

        Args:
            reasons: of the decision, by gate.
            errors: by gate, where its device did not take the command.
        """
        for pending, outcome in self.waiting:
            gate = pending.instruction.action.gate
            error = (errors or {}).get(gate, "")
            now = (f"device: {error}",) if error else tuple(reasons.get(gate, ()))
            pending.answer(replace(outcome, reasons=(*outcome.reasons, *now)) if outcome.accepted else outcome)

    def fail(self) -> None:
        """Tell everybody who has no answer yet that the scan failed."""
        for pending, outcome in self.waiting:
            pending.answer(SCAN_FAILED if outcome.accepted else outcome)


def carry_out_all(state: SiteState, asked: Sequence[Pending], rules: AlarmRules, now: Now) -> Carried:
    """Carry out what was asked, one after the other; a fault of ours in one is that one's answer and changes nothing."""
    changes: tuple[AlarmChange, ...] = ()
    waiting: list[tuple[Pending, Outcome]] = []
    for pending in asked:
        try:
            state, more, outcome = carry_out(state, pending.instruction, rules, now)
        except Exception as error:  # noqa: BLE001 - outermost guard of one instruction: it must end neither the scan nor the others
            more, outcome = (), Outcome(False, "Failed", f"the gate met an error of its own: {type(error).__name__}: {error}")
        changes += more
        waiting.append((pending, outcome))
    return Carried(state, changes, tuple(waiting))
