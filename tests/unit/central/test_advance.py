"""Rollouts go on by evidence from nodes that could answer."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from central.model import NodeOutcome, RolloutNodeRecord, RolloutRecord
from central.rollout import Decision, DropNode, Finish, Note, RolloutFleet, SetNode, Target, advance
from shared.contracts.api import Presence, RolloutPhase
from shared.contracts.status import AppPhase, AppStatus
from tests.builders_central import NOW, app_status, desired, later, rollout

ON, OFF, NEVER = Presence.ONLINE, Presence.OFFLINE, Presence.NEVER_SEEN
BAD = (AppPhase.ROLLED_BACK, AppPhase.FAILED, AppPhase.REFUSED, AppPhase.UNSUPPORTED)


def fleet(standing: str | None = "r1", **targets: tuple[Presence, AppStatus | None]) -> RolloutFleet:
    return fleet_of(targets, standing)


def fleet_of(targets: Mapping[str, tuple[Presence, AppStatus | None]], standing: str | None = "r1") -> RolloutFleet:
    return RolloutFleet({node: Target(node, presence, app) for node, (presence, app) in targets.items()}, standing)


def says(phase: AppPhase, **fields: str) -> AppStatus:
    return app_status(phase, desired(), **fields)


def apply(before: RolloutRecord, decisions: Sequence[Decision]) -> RolloutRecord:
    """What the store makes of decisions."""
    nodes = {record.node: record for record in before.nodes}
    after = before
    for item in decisions:
        if isinstance(item, SetNode):
            nodes[item.record.node] = item.record
        elif isinstance(item, DropNode):
            del nodes[item.node]
        elif isinstance(item, Note):
            after = replace(after, message=item.message)
        else:
            after = replace(after, phase=item.phase, message=item.reason, finished_at=item.at)
    return replace(after, nodes=tuple(nodes[name] for name in sorted(nodes)))


def run(state: RolloutFleet, before: RolloutRecord | None = None) -> RolloutRecord:
    start = before or rollout()
    return apply(start, advance(start, state, NOW))


def test_all_ready_succeeds() -> None:
    finished = run(fleet(a=(ON, says(AppPhase.READY)), b=(ON, says(AppPhase.READY))))
    assert (finished.phase, finished.finished_at, finished.message) == (RolloutPhase.SUCCEEDED, NOW, "2 ready")


def test_it_waits_for_a_reachable_node_that_has_no_verdict() -> None:
    state = run(fleet(a=(ON, says(AppPhase.READY)), b=(ON, says(AppPhase.PROGRESSING)), c=(ON, None)))
    assert (state.phase, state.message) == (RolloutPhase.RUNNING, "waiting for b, c")


def test_an_offline_node_is_neither_good_nor_bad_and_blocks_nothing() -> None:
    finished = run(fleet(a=(ON, says(AppPhase.READY)), b=(OFF, None), c=(NEVER, None), d=(OFF, says(AppPhase.PROGRESSING))))
    assert finished.phase is RolloutPhase.SUCCEEDED
    assert finished.message == "1 ready; not reached, will catch up: b, c, d"
    assert [record.outcome for record in finished.nodes[1:]] == [NodeOutcome.UNREACHABLE] * 3


def test_with_nobody_reachable_it_keeps_running() -> None:
    assert run(fleet(a=(OFF, None), b=(NEVER, None))).phase is RolloutPhase.RUNNING


def test_with_no_node_at_all_it_stands_for_those_that_come() -> None:
    waiting = run(fleet())
    assert (waiting.phase, "stands" in waiting.message) == (RolloutPhase.RUNNING, True)
    assert run(fleet(late=(ON, says(AppPhase.READY))), waiting).phase is RolloutPhase.SUCCEEDED


def test_one_failure_fails_it_but_only_when_every_reachable_node_has_spoken() -> None:
    bad = says(AppPhase.ROLLED_BACK, cause="CrashLoopBackOff")
    waiting = run(fleet(a=(ON, bad), b=(ON, says(AppPhase.APPLYING))))
    assert waiting.phase is RolloutPhase.RUNNING
    finished = run(fleet(a=(ON, bad), b=(ON, says(AppPhase.READY))), waiting)
    assert finished.phase is RolloutPhase.FAILED
    assert finished.message == "1 of 2 failed: a (CrashLoopBackOff)"


def test_each_bad_phase_is_a_failure_named_by_its_phase_where_no_cause_is_known() -> None:
    for phase in BAD:
        finished = run(fleet(a=(ON, says(phase))))
        assert (finished.phase, phase.value in finished.message) == (RolloutPhase.FAILED, True)


def test_a_verdict_stays_when_the_node_goes_offline() -> None:
    finished = run(fleet(a=(OFF, says(AppPhase.READY)), b=(OFF, says(AppPhase.FAILED))))
    assert [record.outcome for record in finished.nodes] == [NodeOutcome.READY, NodeOutcome.FAILED]
    assert finished.phase is RolloutPhase.FAILED


def test_a_report_of_an_earlier_attempt_or_another_release_is_no_evidence() -> None:
    other = app_status(AppPhase.FAILED, desired("1.1.0"))
    earlier = app_status(AppPhase.READY, desired(attempt=1))
    state = run(fleet(a=(ON, other), b=(ON, earlier)), rollout(attempt=2))
    assert state.phase is RolloutPhase.RUNNING
    assert {record.outcome for record in state.nodes} == {NodeOutcome.PROGRESSING}
    assert {record.phase for record in state.nodes} == {""}


def test_a_paused_node_is_not_waited_for() -> None:
    finished = run(fleet(a=(ON, says(AppPhase.READY)), b=(ON, says(AppPhase.PAUSED))))
    assert (finished.phase, finished.message) == (RolloutPhase.SUCCEEDED, "1 ready; paused: b")
    assert run(fleet(a=(ON, says(AppPhase.PAUSED)))).phase is RolloutPhase.RUNNING


def test_a_node_whose_labels_changed_is_dropped() -> None:
    before = run(fleet(a=(ON, says(AppPhase.PROGRESSING)), b=(ON, says(AppPhase.PROGRESSING))))
    after = run(fleet(a=(ON, says(AppPhase.READY))), before)
    assert [record.node for record in after.nodes] == ["a"]
    assert after.phase is RolloutPhase.SUCCEEDED


def test_it_is_superseded_when_something_else_moved_the_assignment() -> None:
    for standing, reason in (("r2", "r2"), ("", "removed"), (None, "gone")):
        finished = run(fleet(standing, a=(ON, says(AppPhase.READY))))
        assert (finished.phase, reason in finished.message) == (RolloutPhase.SUPERSEDED, True)


def test_since_tells_when_the_present_phase_began() -> None:
    state = fleet(a=(ON, says(AppPhase.PROGRESSING)))
    first = run(state)
    (again,) = apply(first, advance(first, state, later(60))).nodes
    assert again.since == NOW
    moved = advance(first, fleet(a=(ON, says(AppPhase.APPLYING))), later(60))
    assert [item.record.since for item in moved if isinstance(item, SetNode)] == [later(60)]


def test_many_names_are_cut_short() -> None:
    state = run(RolloutFleet({f"pi-{n:02d}": Target(f"pi-{n:02d}", ON) for n in range(20)}, "r1"))
    assert state.message == "waiting for pi-00, pi-01, pi-02, pi-03, pi-04 and 15 more"


FLEETS = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]),
    st.tuples(st.sampled_from(Presence), st.none() | st.builds(says, st.sampled_from(AppPhase))),
)


@given(FLEETS)
def test_advancing_twice_on_the_same_picture_changes_nothing_more(targets: dict[str, tuple[Presence, AppStatus | None]]) -> None:
    state = fleet_of(targets)
    once = run(state)
    assert advance(once, state, later(5)) == ()


@given(FLEETS)
def test_it_never_ends_without_evidence_and_never_while_a_reachable_node_is_at_work(
    targets: dict[str, tuple[Presence, AppStatus | None]],
) -> None:
    after = run(fleet_of(targets))
    outcomes = [record.outcome for record in after.nodes]
    if after.phase is RolloutPhase.SUCCEEDED:
        assert NodeOutcome.READY in outcomes
        assert NodeOutcome.FAILED not in outcomes
    if after.phase is RolloutPhase.FAILED:
        assert NodeOutcome.FAILED in outcomes
    if NodeOutcome.PROGRESSING in outcomes:
        assert after.phase is RolloutPhase.RUNNING


@given(FLEETS, st.sampled_from([RolloutPhase.SUCCEEDED, RolloutPhase.FAILED, RolloutPhase.SUPERSEDED]))
def test_a_finished_rollout_is_never_touched_again(targets: dict[str, tuple[Presence, AppStatus | None]], phase: RolloutPhase) -> None:
    assert advance(rollout(phase=phase), fleet_of(targets, "r9"), NOW) == ()


@given(FLEETS)
def test_offline_nodes_without_a_verdict_never_change_the_ending(targets: dict[str, tuple[Presence, AppStatus | None]]) -> None:
    with_sleeper = run(fleet_of({**targets, "sleeper": (OFF, None)}))
    without = run(fleet_of(targets))
    assert with_sleeper.phase is without.phase


def test_decisions_are_a_closed_set() -> None:
    record = RolloutNodeRecord("a", NodeOutcome.READY)
    assert {type(item) for item in (SetNode(record), DropNode("a", ""), Note(""), Finish(RolloutPhase.FAILED, "", NOW))} == set(
        Decision.__args__
    )
