"""`munbon rollback` goes to the last verified release before the current one, once."""

from hypothesis import given
from hypothesis import strategies as st

from central.rollout import HistoryEntry, rollback_target
from shared.contracts.api import RolloutPhase
from shared.signing.digests import sha256_hex

OK, FAILED, RUNNING, SUPERSEDED = RolloutPhase.SUCCEEDED, RolloutPhase.FAILED, RolloutPhase.RUNNING, RolloutPhase.SUPERSEDED


def entry(version: str, phase: RolloutPhase = OK, *, back: bool = False, ready: int = 0, failed: int = 0) -> HistoryEntry:
    return HistoryEntry(version, sha256_hex(version.encode()), "rollback" if back else "rollout", phase, ready, failed)


def test_after_nodes_went_back_alone_it_goes_to_the_release_they_run() -> None:
    assert rollback_target([entry("1.0.0"), entry("1.1.0", FAILED)], "1.1.0").version == "1.0.0"


def test_a_second_rollback_does_not_go_a_second_step() -> None:
    history = [entry("0.9.0"), entry("1.0.0"), entry("1.1.0", FAILED), entry("1.0.0", OK, back=True)]
    choice = rollback_target(history, "1.0.0")
    assert (choice.version, choice.further) == (None, "0.9.0")
    assert "already rolled back" in choice.reason


def test_nor_while_the_first_rollback_still_runs() -> None:
    history = [entry("0.9.0"), entry("1.0.0"), entry("1.1.0", FAILED), entry("1.0.0", RUNNING, back=True)]
    assert rollback_target(history, "1.0.0").version is None


def test_unverified_releases_in_between_are_passed_over() -> None:
    history = [entry("1.0.0"), entry("1.1.0", FAILED, ready=1, failed=1), entry("1.2.0", SUPERSEDED), entry("1.3.0", FAILED)]
    assert rollback_target(history, "1.3.0").version == "1.0.0"


def test_a_superseded_rollout_counts_when_nodes_were_ready_and_none_failed() -> None:
    assert rollback_target([entry("1.0.0"), entry("1.1.0", SUPERSEDED, ready=2), entry("1.2.0")], "1.2.0").version == "1.1.0"


def test_the_first_release_has_nothing_before_it() -> None:
    choice = rollback_target([entry("1.0.0", FAILED)], "1.0.0")
    assert (choice.version, choice.further) == (None, None)
    assert rollback_target([], "1.0.0").version is None


def test_after_a_rollback_and_a_newer_failure_it_goes_to_where_the_rollback_went() -> None:
    history = [entry("1.0.0"), entry("1.1.0"), entry("1.0.0", OK, back=True), entry("1.2.0", FAILED)]
    assert rollback_target(history, "1.2.0").version == "1.0.0"


def test_trying_a_failed_release_again_does_not_make_it_its_own_way_back() -> None:
    assert rollback_target([entry("1.0.0"), entry("1.1.0", FAILED), entry("1.1.0", FAILED)], "1.1.0").version == "1.0.0"


HISTORIES = st.lists(
    st.builds(
        entry,
        st.sampled_from(["1.0.0", "1.1.0", "1.2.0"]),
        st.sampled_from(RolloutPhase),
        back=st.booleans(),
        ready=st.integers(0, 2),
        failed=st.integers(0, 2),
    ),
    min_size=1,
    max_size=8,
)


@given(HISTORIES)
def test_the_target_is_always_another_version_that_ran_before(history: list[HistoryEntry]) -> None:
    current = history[-1].version
    choice = rollback_target(history, current)
    if choice.version is not None:
        assert choice.version != current
        assert choice.version in {item.version for item in history[:-1]}
        assert history[-1].kind == "rollout"
    assert choice.reason
