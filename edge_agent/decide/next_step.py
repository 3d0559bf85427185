"""The state machine of one app: facts in, one step out. Total: for any facts there is a step.

What a pass saw is in the facts, so that asking again after each step ends at a step that waits. Durations come from the
record, so that a restart or a reboot goes on where it was.
"""

from __future__ import annotations

from edge_agent.decide import timers
from edge_agent.decide.steps import (
    AppFacts,
    Begin,
    Converge,
    Discard,
    Fetch,
    Forget,
    Hold,
    Idle,
    Look,
    MarkApplied,
    MarkFailed,
    MarkReady,
    MarkRemoved,
    MarkRollbackFailed,
    Orphan,
    Pause,
    Prune,
    Refuse,
    Remove,
    RollBack,
    Step,
    WaitHealth,
)
from edge_agent.decide.target import Choice, Intent, effective_target
from edge_agent.model import Assessment, Hand, MaterialState, Purpose, ReleaseKey, Stage, Target, Timer, Verdict, Waits
from shared.contracts.event import Cause
from shared.contracts.status import AppPhase

API_UNAVAILABLE = "ApiUnavailable"
NO_ANSWER = frozenset({API_UNAVAILABLE, "ApiError"})
REMOVED = "removed"
REMOVAL = ReleaseKey("", "", 0)
"""Key of the waits of a removal."""


def next_step(facts: AppFacts) -> Step:
    """What to do next."""
    choice = effective_target(facts.desired, facts.record, has_objects=facts.has_objects)
    if facts.is_paused_here and choice.intent is not Intent.NOTHING:
        return Pause("paused on this node")
    match choice.intent:
        case Intent.NOTHING:
            return Forget()
        case Intent.ORPHAN:
            return Orphan()
        case Intent.PAUSE:
            return Pause("paused by central")
        case Intent.REMOVE:
            return _remove(facts)
        case Intent.KEEP:
            return Idle(AppPhase.FAILED, "the release is bad and there is no earlier one to go back to; kept as it is", choice.cause)
        case Intent.RUN:
            assert choice.target is not None
            return _run(facts, choice, choice.target)


def waits_of(facts: AppFacts, target: Target) -> Waits:
    """The waits of a target; new ones where the record has those of another."""
    waits = facts.record.waits
    return waits if waits is not None and waits.key == target.key else Waits(target.key)


# ------------------------------------------------------------------------------------------------------------ remove


def _remove(facts: AppFacts) -> Step:
    if facts.record.told == REMOVED:
        return Idle(AppPhase.REMOVED)
    if facts.pruned is None:
        waits = facts.record.waits
        if facts.hold.is_held and not _is_deferral_spent(facts, waits if waits is not None and waits.key == REMOVAL else None):
            return Hold(None, facts.hold.reason, facts.hold.is_flood)
        return Idle(AppPhase.REMOVING, facts.unreachable) if facts.unreachable else Remove()
    if facts.pruned.pending:
        return Idle(AppPhase.REMOVING, _pending(facts.pruned.pending, facts.pruned.messages))
    return MarkRemoved()


# --------------------------------------------------------------------------------------------------------------- run


def _run(facts: AppFacts, choice: Choice, target: Target) -> Step:
    record = facts.record
    hand = record.hand
    if facts.material.state is not MaterialState.READY:
        return _heal_meanwhile(facts) or _without_material(facts, choice, target)
    if hand is not None and hand.target.key == target.key and hand.purpose is choice.purpose:
        return _in_hand(facts, hand)
    if hand is None and record.current is not None and record.current.key == target.key:
        return _settled(facts, choice, target)
    return _start(facts, choice, target)


def _heal_meanwhile(facts: AppFacts) -> Step | None:
    """While what is wanted cannot be begun, what is good and there is still kept as it should be."""
    record = facts.record
    current, good = record.current, record.last_good
    is_settled = record.hand is None and current is not None and good is not None and current.key == good.key
    if current is None or not is_settled or not facts.wants_sweep or facts.converged is not None or facts.unreachable:
        return None
    return Converge(current, is_heal=True)


def _without_material(facts: AppFacts, choice: Choice, target: Target) -> Step:
    if facts.material.state is MaterialState.MISSING:
        waits = waits_of(facts, target)
        return Fetch(target, choice.purpose, timers.is_over(waits.fetch, facts.now, limit_s=facts.policy.fetch_deadline_s))
    phase = AppPhase.UNSUPPORTED if facts.material.state is MaterialState.UNSUPPORTED else AppPhase.REFUSED
    return Refuse(target, phase, facts.material.cause or Cause(code="Refused", message="the release was refused"))


def _start(facts: AppFacts, choice: Choice, target: Target) -> Step:
    record = facts.record
    if facts.unreachable:
        return Idle(AppPhase.ROLLING_BACK if choice.purpose is Purpose.ROLLBACK else AppPhase.PENDING, facts.unreachable, choice.cause)
    if choice.purpose is Purpose.ROLLBACK:
        bad = record.current if record.current is not None and choice.wanted and record.current.key == choice.wanted.key else None
        return RollBack(target, bad, choice.cause or Cause(code="Unknown"))
    if choice.purpose is Purpose.RELEASE and facts.hold.is_held:
        if not _is_deferral_spent(facts, waits_of(facts, target)):
            return _heal_meanwhile(facts) or Hold(target, facts.hold.reason, facts.hold.is_flood)
        note = Cause(
            code="DeferralExpired",
            message=f"held for {facts.policy.longest_deferral_s} s, the longest that the release allows; still: {facts.hold.reason}",
            blames="world",
        )
        return Begin(target, choice.purpose, note)
    return Begin(target, choice.purpose)


def _is_deferral_spent(facts: AppFacts, waits: Waits | None) -> bool:
    """Whether the gate's hold has put it off for as long as it may. During a flood alarm it never has."""
    if facts.hold.is_flood:
        return False
    return timers.is_over(waits.hold if waits else Timer(), facts.now, limit_s=facts.policy.longest_deferral_s)


# ------------------------------------------------------------------------------------------------------------ in hand


def _in_hand(facts: AppFacts, hand: Hand) -> Step:
    if facts.unreachable:
        return _wait_for_world(hand, Cause(code=API_UNAVAILABLE, message=facts.unreachable[:2_000], blames="world"))
    if facts.converged is None:
        if hand.stage is Stage.APPLYING or facts.wants_sweep:
            return Converge(hand.target)
    elif facts.converged.cause is not None:
        return _stopped(facts, hand, facts.converged.cause)
    elif not facts.converged.waiting:
        if hand.bad is not None and not hand.discarded and facts.discarded is None:
            return Discard(hand.bad, hand.target)
        if hand.stage is Stage.APPLYING:
            return MarkApplied()
    if facts.assessment is None:
        return Look(hand.target)
    return _judge(facts, hand, facts.assessment)


def _stopped(facts: AppFacts, hand: Hand, cause: Cause) -> Step:
    """The apply itself was stopped. No answer is nobody's fault; other lacks of the world may come right until the deadline."""
    if cause.blames != "world":
        return _give_up(hand, cause)
    if cause.code in NO_ANSWER:
        return _wait_for_world(hand, cause)
    if timers.is_over(hand.health, facts.now, limit_s=facts.policy.health_deadline_s):
        return _give_up(hand, cause)
    return WaitHealth(_phase(hand), cause.message or cause.code, cause, counts="health")


def _judge(facts: AppFacts, hand: Hand, seen: Assessment) -> Step:
    cause = seen.cause
    if cause is not None and cause.code in NO_ANSWER:
        return _wait_for_world(hand, cause)
    match seen.verdict:
        case Verdict.READY:
            return _ready(facts, hand)
        case Verdict.FAILED if cause is None or cause.blames != "world":
            return _give_up(hand, cause or Cause(code="Unhealthy", message=seen.message[:2_000], blames="unknown"))
        case _:
            return _wait(facts, hand, seen)


def _ready(facts: AppFacts, hand: Hand) -> Step:
    if hand.stage is Stage.APPLYING:
        waiting = facts.converged.waiting if facts.converged is not None else ""
        return WaitHealth(_phase(hand), waiting or "the next stage follows", counts="health")
    # only what is new has to prove itself; what was good before is good when it is healthy
    soak_s = facts.policy.soak_s if hand.purpose is Purpose.RELEASE else 0
    left_s = soak_s - timers.spent_s(hand.soak, facts.now, limit_s=soak_s)
    if left_s <= 0:
        return MarkReady()
    return WaitHealth(_phase(hand), f"healthy; must stay so for {soak_s} s", counts="soak")


def _wait(facts: AppFacts, hand: Hand, seen: Assessment) -> Step:
    """Not healthy yet. While only images are awaited the pull's clock runs, else health's."""
    policy, cause = facts.policy, seen.cause
    is_pull = not seen.images_ready
    if not is_pull and cause is not None and cause.blames == "world":
        return _wait_for_world(hand, cause)
    if is_pull and timers.is_over(hand.pull, facts.now, limit_s=policy.pull_deadline_s):
        return _give_up(hand, _deadline("PullDeadlineExceeded", f"images are not there after {policy.pull_deadline_s} s", seen, "world"))
    if not is_pull and timers.is_over(hand.health, facts.now, limit_s=policy.health_deadline_s):
        return _give_up(hand, _deadline("DeadlineExceeded", f"not healthy after {policy.health_deadline_s} s", seen, "release"))
    message = f"images are not there yet: {seen.message}" if is_pull else seen.message
    return WaitHealth(_phase(hand), message[:500], cause or hand.cause, counts="pull" if is_pull else "health")


def _deadline(code: str, what: str, seen: Assessment, blames: str) -> Cause:
    message = f"{what}: {seen.cause.message or seen.cause.code if seen.cause else seen.message}"[:2_000]
    found = seen.cause.model_dump() if seen.cause is not None else {}
    # what keeps it from being healthy is told with it: the object, the pod, the last line of its log
    return Cause.model_validate({**found, "code": code, "message": message, "blames": blames})


def _give_up(hand: Hand, cause: Cause) -> Step:
    """Bad. Only what is new here is judged; a way back is never gone back from."""
    if hand.purpose is Purpose.RELEASE:
        return MarkFailed(hand.target, cause)
    if hand.purpose is Purpose.ROLLBACK and not hand.gave_up:
        return MarkRollbackFailed(cause)
    return WaitHealth(AppPhase.FAILED if hand.purpose is Purpose.ROLLBACK else AppPhase.DEGRADED, cause.message, cause)


def _wait_for_world(hand: Hand, cause: Cause) -> WaitHealth:
    return WaitHealth(_phase(hand), cause.message or cause.code, cause)


def _phase(hand: Hand) -> AppPhase:
    if hand.purpose is Purpose.ROLLBACK:
        return AppPhase.FAILED if hand.gave_up else AppPhase.ROLLING_BACK
    return AppPhase.APPLYING if hand.stage is Stage.APPLYING else AppPhase.PROGRESSING


# ------------------------------------------------------------------------------------------------------------ settled


def _settled(facts: AppFacts, choice: Choice, target: Target) -> Step:
    good = AppPhase.ROLLED_BACK if choice.purpose is Purpose.ROLLBACK else AppPhase.READY
    if facts.unreachable:
        return Idle(good, facts.unreachable, choice.cause)
    if facts.wants_sweep and facts.converged is None:
        return Converge(target, is_heal=True)
    if facts.record.prune_due and facts.pruned is None:
        return Prune(target)
    if facts.wants_look and facts.assessment is None:
        return Look(target)
    if facts.converged is not None and facts.converged.cause is not None:
        cause = facts.converged.cause
        return Idle(good if cause.blames == "world" else AppPhase.DEGRADED, f"cannot be healed now: {cause.message}", cause)
    seen = facts.assessment
    if seen is None or seen.verdict is Verdict.READY or (seen.cause is not None and seen.cause.code in NO_ANSWER):
        message = _pending(facts.pruned.pending, facts.pruned.messages) if facts.pruned is not None and facts.pruned.pending else ""
        return Idle(good, message, choice.cause)
    return Idle(AppPhase.DEGRADED, seen.message, seen.cause or choice.cause)


def _pending(refs: tuple[object, ...], messages: tuple[str, ...]) -> str:
    named = ", ".join(str(ref) for ref in refs[:3]) + (" ..." if len(refs) > 3 else "")
    return f"{len(refs)} object(s) still to go: {'; '.join(messages)[:300] or named}"
