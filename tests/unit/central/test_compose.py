"""What a node should run, by its labels, the assignments, pauses and pins."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from central.compose import compose_desired, parse_selector
from central.model import AssignmentRecord, PauseRecord, PinRecord, ReleaseRecord
from shared.contracts.desired import AppDesired, AppState
from tests.builders_central import NOW, assignment, desired, release_record

VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
APPS = ("web", "tide")
RELEASES = {record.release_digest: record for app in APPS for version in VERSIONS for record in [release_record(app, version)]}
SELECTORS = st.sampled_from(["", "site=north", "site!=north", "canal", "!canal", "site in (north,south)"])
LABELS = st.dictionaries(st.sampled_from(["site", "canal"]), st.sampled_from(["north", "south"]))


def compose(
    *standing: AssignmentRecord,
    pins: tuple[PinRecord, ...] = (),
    pauses: tuple[PauseRecord, ...] = (),
    releases: dict[str, ReleaseRecord] | None = None,
    labels: dict[str, str] | None = None,
) -> dict[str, AppDesired]:
    return compose_desired("pi-1", labels or {}, standing, pins, RELEASES if releases is None else releases, pauses)


def version_of(composed: dict[str, AppDesired], app: str = "web") -> str | None:
    found = composed.get(app)
    return found.release.version if found is not None and found.release is not None else None


@st.composite
def standings(draw: st.DrawFn) -> list[AssignmentRecord]:
    moves = draw(st.lists(st.integers(1, 50), unique=True, max_size=6))
    return [
        assignment(
            draw(st.sampled_from(VERSIONS)),
            app=draw(st.sampled_from(APPS)),
            selector=draw(SELECTORS),
            move=move,
            absent=draw(st.booleans()),
        )
        for move in moves
    ]


@given(standings(), LABELS)
def test_for_each_app_the_newest_moved_matching_assignment_wins(standing: list[AssignmentRecord], labels: dict[str, str]) -> None:
    composed = compose(*standing, labels=labels)
    matching = [item for item in standing if parse_selector(item.selector).matches(labels)]
    assert set(composed) == {item.app for item in matching}
    for app, wanted in composed.items():
        newest = max((item for item in matching if item.app == app), key=lambda item: item.move)
        assert wanted.state is newest.state
        assert (wanted.release.release_digest if wanted.release else None) == newest.release_digest


@given(standings(), LABELS, st.randoms(use_true_random=False))
def test_the_order_in_which_assignments_are_given_does_not_matter(
    standing: list[AssignmentRecord], labels: dict[str, str], random: Random
) -> None:
    shuffled = list(standing)
    random.shuffle(shuffled)
    assert compose(*shuffled, labels=labels) == compose(*standing, labels=labels)


@given(standings(), LABELS)
def test_pausing_and_pinning_change_only_what_they_name(standing: list[AssignmentRecord], labels: dict[str, str]) -> None:
    before = compose(*standing, labels=labels)
    paused = compose(*standing, pauses=(PauseRecord("web", "", NOW, "ana"),), labels=labels)
    other = compose(*standing, pins=(PinRecord("pi-2", "web", None, NOW),), labels=labels)
    assert other == before
    assert paused.get("tide") == before.get("tide")
    if "web" in before:
        assert paused["web"] == before["web"].model_copy(update={"state": AppState.PAUSED})


def test_a_narrower_assignment_moved_earlier_gives_way_to_a_wider_one_moved_later() -> None:
    assert (
        version_of(compose(assignment("1.1.0", selector="site=north", move=1), assignment("1.0.0", move=2), labels={"site": "north"}))
        == "1.0.0"
    )


def test_a_pause_that_does_not_match_the_node_does_nothing() -> None:
    composed = compose(assignment(), pauses=(PauseRecord("web", "site=south", NOW, "ana"),), labels={"site": "north"})
    assert composed["web"].state is AppState.PRESENT


def test_a_paused_removal_waits() -> None:
    composed = compose(assignment(absent=True), pauses=(PauseRecord("web", "", NOW, "ana"),))
    assert (composed["web"].state, composed["web"].release) == (AppState.PAUSED, None)


def test_a_pin_goes_first_and_an_unlisting_pin_takes_the_app_out() -> None:
    pinned = desired("1.2.0", rollout_id="before")
    assert compose(assignment(), pins=(PinRecord("pi-1", "web", pinned, NOW),))["web"] == pinned
    assert compose(assignment(), pins=(PinRecord("pi-1", "web", None, NOW),)) == {}


def test_an_assignment_of_a_release_that_is_unknown_here_is_passed_over() -> None:
    known = {key: record for key, record in RELEASES.items() if record.version != "1.1.0"}
    assert version_of(compose(assignment("1.0.0", move=1), assignment("1.1.0", move=2), releases=known)) == "1.0.0"


def test_settings_attempt_and_rollout_come_from_the_assignment() -> None:
    composed = compose(assignment(settings={"level": "high"}, attempt=3, rollout_id="r7"))
    assert (composed["web"].settings, composed["web"].attempt, composed["web"].rollout_id) == ({"level": "high"}, 3, "r7")
