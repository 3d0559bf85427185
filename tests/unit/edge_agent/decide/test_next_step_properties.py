"""For any facts there is a step; and for any history the promises hold: never a known-bad release, never twice back, never in a flood."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.decide.next_step import next_step
from edge_agent.decide.outcome import after_step
from edge_agent.decide.status import describe
from edge_agent.decide.steps import LOOKS, MARKS, AppFacts, Begin, Converge, Discard, Forget, Look, RollBack, Step
from edge_agent.decide.target import Intent, effective_target
from edge_agent.model import (
    AppRecord,
    Assessment,
    BadVerdict,
    ConvergeResult,
    Hand,
    HoldState,
    Material,
    MaterialState,
    Moment,
    PruneResult,
    Purpose,
    Stage,
    Timer,
    Verdict,
    Waits,
)
from shared.contracts.desired import AppDesired, AppState
from shared.contracts.event import Cause, ObjectRef
from shared.contracts.release import DeliveryPolicy
from tests.builders_agent import target
from tests.fakes.fake_clock import START

NOW = Moment("boot-1", 5_000.0, START)
SOME = ObjectRef(kind="ConfigMap", namespace="default", name="web")
TARGETS = [
    target(version, attempt=attempt, settings=extra) for version in ("1.0.0", "1.1.0") for attempt in (1, 2) for extra in ({}, {"a": "b"})
]

causes = st.builds(
    Cause,
    code=st.sampled_from(["CrashLoopBackOff", "ApiUnavailable", "ApplyConflict"]),
    blames=st.sampled_from(["release", "world", "unknown"]),
)
targets = st.sampled_from(TARGETS)
moments = st.builds(
    lambda boot, mono, ahead: Moment(boot, mono, START + timedelta(seconds=ahead)),
    st.sampled_from(["boot-0", "boot-1"]),
    st.floats(0, 5_000),
    st.integers(-100_000, 100_000),
)
timers = st.builds(Timer, st.floats(0, 10_000), st.none() | moments)
hands = st.builds(
    Hand,
    target=targets,
    purpose=st.sampled_from(Purpose),
    stage=st.sampled_from(Stage),
    began=timers,
    health=timers,
    pull=timers,
    soak=timers,
    bad=st.none() | targets,
    cause=st.none() | causes,
    discarded=st.booleans(),
    gave_up=st.booleans(),
)
records = st.builds(
    AppRecord,
    app=st.just("web"),
    current=st.none() | targets,
    last_good=st.none() | targets,
    hand=st.none() | hands,
    waits=st.none() | st.builds(Waits, key=targets.map(lambda found: found.key), fetch=timers, hold=timers),
    verdicts=st.lists(st.builds(BadVerdict, targets.map(lambda found: found.key), st.just("1"), causes), max_size=3).map(tuple),
    prune_due=st.booleans(),
    told=st.sampled_from(["", "removed", "orphaned", "paused by central"]),
)
wishes = st.none() | st.builds(
    lambda found, state: AppDesired(state=state, release=found.ref, settings=dict(found.settings), attempt=found.attempt),
    targets,
    st.sampled_from(AppState),
)
assessments = st.builds(
    Assessment, verdict=st.sampled_from(Verdict), cause=st.none() | causes, message=st.just("m"), images_ready=st.booleans()
)
converges = st.builds(ConvergeResult, waiting=st.sampled_from(["", "wave 1"]), cause=st.none() | causes)
prunes = st.builds(PruneResult, pending=st.sampled_from([(), (SOME,)]), deleted=st.sampled_from([(), (SOME,)]))
facts_strategy = st.builds(
    AppFacts,
    record=records,
    desired=wishes,
    now=st.just(NOW),
    material=st.builds(Material, st.sampled_from(MaterialState), st.none() | causes),
    policy=st.just(DeliveryPolicy(soak_s=10)),
    hold=st.builds(HoldState, st.booleans(), st.booleans(), st.just("why")).filter(lambda hold: hold.is_held or not hold.is_flood),
    converged=st.none() | converges,
    assessment=st.none() | assessments,
    discarded=st.none() | prunes,
    pruned=st.none() | prunes,
    wants_sweep=st.booleans(),
    wants_look=st.booleans(),
    is_paused_here=st.booleans(),
    has_objects=st.booleans(),
    unreachable=st.sampled_from(["", "K3s cannot be reached"]),
)


@given(facts_strategy)
@settings(max_examples=500)
def test_for_any_facts_there_is_a_step_an_outcome_and_a_status(facts: AppFacts) -> None:
    step = next_step(facts)

    outcome = after_step(facts, step)
    status = describe(replace(facts, record=outcome.record), step, None, START, 3)

    assert outcome.record.app == "web"
    assert (status is None) == isinstance(step, Forget)


@given(wishes, records)
@settings(max_examples=500)
def test_the_target_is_never_known_bad_unless_its_content_is_last_good(wish: AppDesired | None, record: AppRecord) -> None:
    choice = effective_target(wish, record)

    assert (choice.target is not None) == (choice.intent is Intent.RUN)
    if choice.target is not None and choice.purpose is Purpose.RELEASE:
        assert record.verdict_on(choice.target.key) is None
    if choice.purpose is Purpose.ROLLBACK:
        assert choice.target == record.last_good
        assert choice.wanted is not None
        assert record.verdict_on(choice.wanted.key) is not None


@given(facts_strategy)
@settings(max_examples=500)
def test_nothing_new_begins_in_a_flood_and_nothing_at_all_while_paused(facts: AppFacts) -> None:
    step = next_step(facts)

    if isinstance(step, Begin) and facts.hold.is_flood:
        assert step.purpose is Purpose.RESTORE
    if facts.is_paused_here or (facts.desired is not None and facts.desired.state is AppState.PAUSED):
        assert not isinstance(step, LOOKS + MARKS)


class World:
    """One app played over a scripted world: each version is good or bad, and may change its mind."""

    def __init__(self, is_good: dict[str, bool]) -> None:
        self.is_good = is_good
        self.record = AppRecord("web")
        self.now = NOW
        self.history: list[Step] = []

    def run_pass(self, wish: AppDesired | None, hold: HoldState = HoldState(), *, flips: bool = False) -> None:  # noqa: B008 - frozen
        self.now = replace(self.now, monotonic_s=self.now.monotonic_s + 1.0)
        facts = self._facts(wish, hold)
        for _ in range(60):
            step = next_step(facts)
            self.history.append(step)
            if isinstance(step, LOOKS):
                facts = self._look(facts, step)
            facts = replace(facts, record=after_step(facts, step).record)
            self.record = facts.record
            if isinstance(step, MARKS):
                facts = self._facts(wish, hold)
            elif not isinstance(step, LOOKS):
                return
        raise AssertionError(f"the pass does not end: {self.history[-5:]}")

    def _facts(self, wish: AppDesired | None, hold: HoldState) -> AppFacts:
        return AppFacts(
            self.record, wish, self.now, Material(MaterialState.READY), DeliveryPolicy(), hold, wants_sweep=False, wants_look=True
        )

    def _look(self, facts: AppFacts, step: Step) -> AppFacts:
        if isinstance(step, Converge):
            return replace(facts, converged=ConvergeResult())
        if isinstance(step, Look):
            good = self.is_good[step.target.ref.version]
            return replace(
                facts, assessment=Assessment(Verdict.READY) if good else Assessment(Verdict.FAILED, Cause(code="CrashLoopBackOff"))
            )
        if isinstance(step, Discard):
            return replace(facts, discarded=PruneResult())
        return replace(facts, pruned=PruneResult())


VERSIONS = ["1.0.0", "1.1.0", "1.2.0"]
histories = st.lists(
    st.tuples(st.sampled_from(VERSIONS), st.integers(1, 2), st.dictionaries(st.sampled_from(VERSIONS), st.booleans(), max_size=2)),
    min_size=1,
    max_size=8,
)


@given(histories)
@settings(max_examples=300)
def test_whatever_central_wants_each_bad_release_is_begun_once_and_gone_back_from_once(
    history: list[tuple[str, int, dict[str, bool]]],
) -> None:
    world = World(dict.fromkeys(VERSIONS, True))
    for version, attempt, turned in history:
        world.is_good |= turned
        wish = AppDesired(release=target(version).ref, attempt=attempt)
        before = len(world.history)
        for _ in range(6):
            known_bad, start = {verdict.key for verdict in world.record.verdicts}, len(world.history)
            world.run_pass(wish)
            for step in world.history[start:]:
                if isinstance(step, Begin) and step.purpose is Purpose.RELEASE:
                    assert step.target.key not in known_bad
            rollbacks = [step for step in world.history[before:] if isinstance(step, RollBack)]
            assert len(rollbacks) <= 1
        begun = [step for step in world.history[before:] if isinstance(step, Begin)]
        assert len(begun) <= 1


@given(st.sampled_from(VERSIONS), st.integers(1, 50))
def test_in_a_flood_no_pass_ever_begins_a_release(version: str, passes: int) -> None:
    world = World(dict.fromkeys(VERSIONS, True))
    for _ in range(passes):
        world.now = replace(world.now, monotonic_s=world.now.monotonic_s + 50_000.0)
        world.run_pass(AppDesired(release=target(version).ref), HoldState(True, True, "flood alarm"))

    assert not any(isinstance(step, Begin | RollBack | Converge) for step in world.history)
