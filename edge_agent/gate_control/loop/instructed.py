"""What people ask, inside a scan: taken from the desk before the decision, answered after the commands were written.

The scan waits for the desk's `arrived` beside its grid, and does at once what a grid scan does. What was taken is carried out first in it
(`replay.step.scan`); then `Carried.answer` tells what came of it, and in any case `Carried.fail` those who have no answer yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edge_agent.gate_control.console.desk import Pending
from edge_agent.gate_control.decide.instructions import Outcome

SCAN_FAILED = Outcome(False, "Interrupted", "the scan that carried it out failed: look at the gate, and send a new command if it is needed")


@dataclass(frozen=True)
class Carried:
    """Who waits for an answer, and what became of what they asked."""

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
