"""Presence, newer reports, samples and sequences."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from central.fleet import (
    FleetSight,
    add_range,
    count_covered,
    fold,
    is_newer_report,
    presence,
    presence_after_absence,
    samples_of,
    verdict_of_event,
    verdicts_of_status,
    waiting_events,
)
from central.model import NodeRecord, NodeReport, PresenceMark, StoredEvent
from shared.contracts.api import Presence
from shared.contracts.event import EventType
from shared.contracts.status import AppPhase
from tests.builders_central import NOW, app_status, event, later, ref, status


def test_a_node_is_online_until_three_of_its_own_heartbeats_did_not_come() -> None:
    assert presence(None, 30.0, NOW) is Presence.NEVER_SEEN
    assert presence(NOW, 30.0, later(90)) is Presence.ONLINE
    assert presence(NOW, 30.0, later(90.1)) is Presence.OFFLINE
    assert presence(NOW, 300.0, later(90.1)) is Presence.ONLINE


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_no_interval_that_a_node_claims_keeps_it_online_for_a_day(interval_s: float) -> None:
    assert presence(NOW, interval_s, later(86_400)) is Presence.OFFLINE
    assert presence(NOW, interval_s, NOW) is Presence.ONLINE


def test_silence_counts_only_while_central_listened() -> None:
    assert presence_after_absence(NOW, 30.0, later(1_000), later(1_090)) is Presence.ONLINE
    assert presence_after_absence(NOW, 30.0, later(1_000), later(1_091)) is Presence.OFFLINE
    assert presence_after_absence(NOW, 30.0, None, later(1_000)) is Presence.OFFLINE
    assert presence_after_absence(NOW, 30.0, later(9_999), later(1_000)) is Presence.OFFLINE
    assert presence_after_absence(None, 30.0, later(1_000), later(1_001)) is Presence.NEVER_SEEN


def test_within_an_outbox_the_revision_decides_whatever_the_clocks_say() -> None:
    stored = NodeReport("pi-1", status("pi-1", revision=5, at=later(100)), NOW)
    assert is_newer_report(stored, status("pi-1", revision=6, at=NOW), later(1))
    assert not is_newer_report(stored, status("pi-1", revision=5, at=later(200)), later(9_999))
    assert is_newer_report(None, status("pi-1"), NOW)


def test_a_node_that_lost_state_and_clock_is_believed_after_a_silence() -> None:
    stored = NodeReport("pi-1", status("pi-1", at=later(1_000)), NOW)
    behind = status("pi-1", outboxid="outbox-new", at=NOW)
    assert not is_newer_report(stored, behind, later(60))
    assert is_newer_report(stored, behind, later(121))
    assert is_newer_report(stored, status("pi-1", outboxid="outbox-new", at=later(2_000)), later(1))


ITEMS = st.lists(
    st.one_of(
        st.builds(lambda n, s: PresenceMark(n, later(s)), st.sampled_from(["a", "b"]), st.integers(0, 9)),
        st.builds(lambda n, r: NodeReport(n, status(n, revision=r), later(r)), st.sampled_from(["a", "b"]), st.integers(1, 9)),
        st.builds(lambda n, s: StoredEvent(s, n, event(n, s), NOW), st.sampled_from(["a", "b"]), st.integers(1, 9)),
    ),
    max_size=8,
)


@given(ITEMS)
def test_folding_keeps_the_newest_of_everything_and_repeats_change_nothing(items: list[StoredEvent | NodeReport | PresenceMark]) -> None:
    sight = FleetSight()
    for item in items:
        sight = fold(sight, item)
    for item in items:
        assert fold(sight, item) is sight
    for node, seen in sight.nodes.items():
        own = [item for item in items if item.node == node]
        assert seen.last_seen == max((item.at for item in own if isinstance(item, PresenceMark)), default=None)
        assert seen.last_event_cursor == max((item.cursor for item in own if isinstance(item, StoredEvent)), default=0)
        revisions = [item.status.revision for item in own if isinstance(item, NodeReport)]
        assert (seen.report.status.revision if seen.report else None) == max(revisions, default=None)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 8)), max_size=20))
def test_ranges_hold_exactly_the_numbers_that_were_added(added: list[tuple[int, int]]) -> None:
    ranges: tuple[tuple[int, int], ...] = ()
    numbers: set[int] = set()
    for first, more in added:
        ranges = add_range(ranges, first, first + more)
        numbers |= set(range(first, first + more + 1))
    assert {number for first, last in ranges for number in range(first, last + 1)} == numbers
    assert count_covered(ranges) == len(numbers)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(ranges))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["at", "gate", "level_m", "quality", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(JSON, JSON)
def test_samples_are_read_where_they_are_good_and_nothing_a_node_sends_breaks_it(site: object, samples: object) -> None:
    good = {"at": "2026-03-01T06:00:00Z", "gate": "g1", "level_m": 2.5}
    listed = [*samples, good] if isinstance(samples, list) else [good]
    sent = event("pi-1", 1, EventType.GATE_SAMPLES_RECORDED, {"site": site, "samples": listed})
    found = samples_of("pi-1", sent)
    assert (found[-1].gate, found[-1].level_m, found[-1].at) == ("g1", 2.5, NOW)
    assert all(len(sample.site) <= 63 for sample in found)
    assert samples_of("pi-1", event("pi-1", 1, EventType.GATE_SAMPLES_RECORDED, {"samples": site}))[:0] == ()


def test_other_events_carry_no_samples() -> None:
    assert samples_of("pi-1", event("pi-1", 1, data={"samples": [{"at": "2026-03-01T06:00:00Z", "gate": "g1"}]})) == ()


def test_verdicts_are_taken_from_final_phases_and_events_alone() -> None:
    apps = {"good": app_status(AppPhase.READY), "bad": app_status(AppPhase.REFUSED), "busy": app_status(AppPhase.PROGRESSING)}
    assert [(item.app, item.good) for item in verdicts_of_status(status("pi-1", apps))] == [("bad", False), ("good", True)]
    data = {"app": "web", "release_digest": ref().release_digest}
    said = {kind: verdict_of_event("pi-1", event("pi-1", 1, kind, data)) for kind in EventType}
    assert {kind.value: item.good for kind, item in said.items() if item is not None} == {
        "ReleaseReady": True,
        "ReleaseFailed": False,
        "ReleaseRolledBack": False,
        "ReleaseRefused": False,
    }
    assert verdict_of_event("pi-1", event("pi-1", 1, EventType.RELEASE_READY, {"app": "web", "release_digest": "short"})) is None


def test_what_waits_on_a_node_is_its_last_word_be_it_a_heartbeat_or_a_status() -> None:
    def seen(outbox_rows: int | None, at_s: float) -> NodeRecord:
        return NodeRecord("a", {}, NOW, "ana", "hash", last_seen=later(at_s), outbox_rows=outbox_rows)

    report = NodeReport("a", status("a", outbox_rows=7), later(10))
    assert waiting_events(seen(0, 12), report) == 0, "drained since"
    assert waiting_events(seen(0, 5), report) == 7
    assert waiting_events(seen(None, 12), report) == 7, "its last heartbeat said nothing of it"
    assert waiting_events(seen(3, 5), None) == 3
    assert waiting_events(NodeRecord("a", {}, NOW, "ana", "hash"), None) == 0
