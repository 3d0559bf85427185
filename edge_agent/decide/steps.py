"""What the loop can be told to do next for one app. Each is a value; the loop's executor has one branch for each."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_agent.model import AppRecord, Assessment, ConvergeResult, HoldState, Material, MaterialState, Moment, PruneResult, Purpose, Target
from shared.contracts.desired import AppDesired
from shared.contracts.event import Cause
from shared.contracts.release import DeliveryPolicy
from shared.contracts.status import AppPhase


@dataclass(frozen=True)
class AppFacts:
    """All that a step is decided from.

    `material` and `policy` belong to the target that `effective_target` chooses. `converged`, `assessment`, `discarded` and
    `pruned` are what this pass has seen so far; None: not looked yet. `wants_sweep` and `wants_look`: a settled app is due
    for a comparison, or for a look at its health.
    """

    record: AppRecord
    desired: AppDesired | None
    now: Moment
    material: Material = field(default_factory=lambda: Material(MaterialState.MISSING))
    policy: DeliveryPolicy = field(default_factory=DeliveryPolicy)
    hold: HoldState = field(default_factory=HoldState)
    converged: ConvergeResult | None = None
    assessment: Assessment | None = None
    discarded: PruneResult | None = None
    pruned: PruneResult | None = None
    wants_sweep: bool = False
    wants_look: bool = False
    is_paused_here: bool = False
    has_objects: bool = False
    """Whether the app has objects in the cluster, as far as the inventory knows."""
    unreachable: str = ""
    """Why the cluster cannot be reached; empty where it can."""


@dataclass(frozen=True)
class Idle:
    """Nothing to do now."""

    phase: AppPhase
    message: str = ""
    cause: Cause | None = None


@dataclass(frozen=True)
class Forget:
    """Neither wanted nor here: the record goes."""


@dataclass(frozen=True)
class Pause:
    """Apply nothing, heal nothing."""

    reason: str


@dataclass(frozen=True)
class Orphan:
    """Leave it running, and say so."""


@dataclass(frozen=True)
class Fetch:
    """Wait for the objects of a target."""

    target: Target
    purpose: Purpose
    late: bool = False
    """Its deadline is over; said once, and fetched on."""


@dataclass(frozen=True)
class Refuse:
    """What is wanted cannot be used; what runs goes on."""

    target: Target
    phase: AppPhase
    cause: Cause


@dataclass(frozen=True)
class Hold:
    """The gate process asks to wait. No target: with a removal."""

    target: Target | None
    reason: str
    is_flood: bool


@dataclass(frozen=True)
class Begin:
    """Take the apply of a target in hand: written before its first call."""

    target: Target
    purpose: Purpose
    note: Cause | None = None
    """`DeferralExpired`: it was held for as long as its release allows."""


@dataclass(frozen=True)
class RollBack:
    """Take the way back in hand."""

    target: Target
    bad: Target | None
    cause: Cause


@dataclass(frozen=True)
class Converge:
    """Make the cluster's objects those of the target: one level-triggered pass."""

    target: Target
    is_heal: bool = False


@dataclass(frozen=True)
class Discard:
    """Delete what only the bad release made."""

    bad: Target
    good: Target


@dataclass(frozen=True)
class MarkApplied:
    """All stages are applied."""


@dataclass(frozen=True)
class Look:
    """Assess the health of the target's objects."""

    target: Target


@dataclass(frozen=True)
class WaitHealth:
    """Look again soon. Timers: which clock runs while we wait."""

    phase: AppPhase
    message: str
    cause: Cause | None = None
    counts: str = ""
    """`health`, `pull` or `soak`; empty: none, for the world is to blame."""


@dataclass(frozen=True)
class MarkReady:
    """Healthy for long enough: it is last good now."""


@dataclass(frozen=True)
class MarkFailed:
    """Known bad from now on."""

    target: Target
    cause: Cause


@dataclass(frozen=True)
class MarkRollbackFailed:
    """Last good does not come up either: said once, healed and looked at further, never gone back from."""

    cause: Cause


@dataclass(frozen=True)
class Prune:
    """Delete what the good target no longer has."""

    target: Target


@dataclass(frozen=True)
class Remove:
    """Delete all that the app has, as far as it may be deleted."""


@dataclass(frozen=True)
class MarkRemoved:
    """All is gone that may go."""


Step = (
    Idle
    | Forget
    | Pause
    | Orphan
    | Fetch
    | Refuse
    | Hold
    | Begin
    | RollBack
    | Converge
    | Discard
    | MarkApplied
    | Look
    | WaitHealth
    | MarkReady
    | MarkFailed
    | MarkRollbackFailed
    | Prune
    | Remove
    | MarkRemoved
)

LOOKS = (Converge, Discard, Look, Prune, Remove)
"""Steps that ask the cluster; their answer goes back into the facts of the same pass."""
MARKS = (Begin, RollBack, MarkApplied, MarkReady, MarkFailed, MarkRollbackFailed, MarkRemoved)
"""Steps that change the record; the next step follows in the same pass."""
