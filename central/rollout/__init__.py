"""How rollouts go on; pure.

Takes: a rollout, what is known of its nodes, the time; the history of an assignment.
Gives: decisions of a closed set, each with its reason; the release to roll back to.
May import: `central.model`, `shared.contracts`, the standard library's data types.
Never: reads a clock or a store, or takes silence for evidence.
"""

from central.rollout.advance import Decision, DropNode, Finish, Note, RolloutFleet, SetNode, Target, advance
from central.rollout.rollback import HistoryEntry, RollbackChoice, rollback_target

__all__ = [
    "Decision",
    "DropNode",
    "Finish",
    "HistoryEntry",
    "Note",
    "RollbackChoice",
    "RolloutFleet",
    "SetNode",
    "Target",
    "advance",
    "rollback_target",
]
