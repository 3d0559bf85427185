"""Orders only rise; an older copy of the database is noticed; nothing goes back by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.compose import apps_acted_on, decide_pins, detect_restore, may_issue, newest_said, next_order
from central.compose.order import MAX_EPOCH_STEP
from central.model import NO_ORDER, OperatorAct, Order
from tests.builders_central import NOW, desired, later

ORDERS = st.tuples(st.integers(0, 5), st.integers(0, 50))
NODES = st.sampled_from(["pi-1", "pi-2", "pi-3"])
APPS = st.dictionaries(st.sampled_from(["web", "tide"]), st.sampled_from([desired("1.0.0"), desired("1.1.0"), desired("1.0.0", attempt=2)]))


@given(st.integers(5, 9), st.lists(ORDERS))
def test_the_next_order_is_above_all_that_is_known(epoch: int, known: list[Order]) -> None:
    issued = next_order(epoch, *known)
    assert issued[0] == epoch
    assert all(issued > order and issued[1] > order[1] for order in known)


def test_an_epoch_behind_what_is_known_must_be_raised_first() -> None:
    with pytest.raises(ValueError, match="raise it first"):
        next_order(1, (2, 1))


@given(st.integers(1, 5), st.dictionaries(NODES, ORDERS), st.dictionaries(NODES, st.lists(ORDERS, max_size=2)))
def test_a_restore_is_noticed_exactly_where_the_world_knows_more(
    epoch: int, issued: dict[str, Order], seen: dict[str, list[Order]]
) -> None:
    verdict = detect_restore(epoch, issued, seen)
    ahead = {node for node, orders in seen.items() if any(order > issued.get(node, NO_ORDER) for order in orders)}
    assert set(verdict.ahead) == ahead
    assert verdict.restored is bool(ahead)
    assert verdict.epoch >= epoch
    if ahead:
        assert all(verdict.epoch > order[0] for orders in seen.values() for order in orders)
        for node in ahead:
            assert next_order(verdict.epoch, issued.get(node, NO_ORDER), *seen[node]) > max(seen[node])


def test_an_order_that_central_cannot_have_issued_is_not_believed() -> None:
    assert not detect_restore(1, {}, {"pi-1": [(2**62, 1)], "pi-2": [(1, 2**62)], "pi-3": [(1, -5)]}).restored


@given(APPS, APPS)
def test_pins_turn_what_is_composed_into_what_was_said(composed: dict[str, object], said: dict[str, object]) -> None:
    pins = decide_pins("pi-1", composed, said, at=NOW)  # type: ignore[arg-type]  # values are AppDesired
    result = dict(composed)
    for pin in pins:
        if pin.desired is None:
            del result[pin.app]
        else:
            result[pin.app] = pin.desired
    assert result == said
    assert all(composed.get(pin.app) != said.get(pin.app) for pin in pins)


def test_the_newer_of_bucket_and_report_counts_and_the_bucket_on_a_tie() -> None:
    old, new = {"web": desired("1.0.0")}, {"web": desired("1.1.0")}
    assert newest_said(((1, 3), old), ((1, 4), new)) == ((1, 4), new)
    assert newest_said(((1, 4), old), ((1, 4), new)) == ((1, 4), old)
    assert newest_said(None, None) == (NO_ORDER, {})


def test_after_a_restore_only_nodes_heard_since_are_told_anything() -> None:
    assert may_issue(None, None)
    assert not may_issue(NOW, None)
    assert not may_issue(NOW, later(-1))
    assert may_issue(NOW, later(0))


def test_an_epoch_far_above_centrals_own_is_not_believed() -> None:
    """Else one false report would push the epoch beyond what is believed, and no later restore would be noticed."""
    assert detect_restore(7, {}, {"pi-1": [(7 + MAX_EPOCH_STEP, 1)]}).restored
    assert not detect_restore(7, {}, {"pi-1": [(8 + MAX_EPOCH_STEP, 1)]}).restored


@given(APPS, APPS, st.sets(st.sampled_from(["web", "tide"])))
def test_an_app_on_which_an_operator_acted_is_never_pinned(composed: dict[str, object], said: dict[str, object], acted: set[str]) -> None:
    pins = decide_pins("pi-1", composed, said, acted=acted, at=NOW)  # type: ignore[arg-type]  # values are AppDesired
    assert not acted & {pin.app for pin in pins}
    assert {pin.app for pin in pins} | acted >= {app for app in {*composed, *said} if composed.get(app) != said.get(app)}


def test_an_operators_word_is_about_the_nodes_that_its_selector_matches() -> None:
    acts = [OperatorAct("web", "site=north"), OperatorAct("tide", None), OperatorAct("pump", "")]
    assert apps_acted_on({"site": "north"}, acts) == {"web", "tide", "pump"}
    assert apps_acted_on({"site": "south"}, acts) == {"tide", "pump"}
    assert apps_acted_on(None, acts) == {"tide", "pump"}, "of a node that is not known no label is known"
