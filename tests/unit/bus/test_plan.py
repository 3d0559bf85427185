"""Which documents are issued, put and deleted."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from central.model import IssuedDesired, Order
from central.publish.plan import Held, plan_deletes, plan_issues, plan_puts
from shared.contracts.desired import AppDesired, AppState

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NODES = st.sampled_from(["n1", "n2", "n3", "n4"])
APPS = st.dictionaries(
    st.sampled_from(["web", "api"]),
    st.builds(AppDesired, state=st.sampled_from([AppState.ABSENT, AppState.PAUSED]), attempt=st.integers(1, 2)),
    max_size=2,
)
ORDERS = st.tuples(st.integers(1, 3), st.integers(1, 9))


def document(node: str, order: Order, apps: dict[str, AppDesired] | None = None, revision: int | None = None) -> IssuedDesired:
    body = f"{node} {order} {apps}".encode()
    return IssuedDesired(node, order[0], order[1], apps or {}, body, NOW, revision)


@st.composite
def issued_documents(draw: st.DrawFn) -> dict[str, IssuedDesired]:
    nodes = draw(st.sets(NODES))
    return {node: document(node, draw(ORDERS), draw(APPS), draw(st.none() | st.integers(1, 9))) for node in nodes}


@given(st.dictionaries(NODES, APPS), issued_documents(), st.dictionaries(NODES, ORDERS), st.sets(NODES))
def test_each_issued_order_is_above_everything_known_and_the_silent_are_left_alone(
    composed: dict[str, dict[str, AppDesired]], issued: dict[str, IssuedDesired], highest: dict[str, Order], silent: set[str]
) -> None:
    orders = plan_issues(3, composed, issued, highest, silent)
    assert not set(orders) & silent
    assert set(orders) <= set(composed)
    for node, order in orders.items():
        assert order > highest.get(node, (0, 0))
        assert node not in issued or order > issued[node].order


@given(st.dictionaries(NODES, APPS), st.dictionaries(NODES, ORDERS))
def test_after_issuing_once_nothing_is_left_to_issue(composed: dict[str, dict[str, AppDesired]], highest: dict[str, Order]) -> None:
    orders = plan_issues(3, composed, {}, highest, ())
    issued = {node: document(node, order, composed[node]) for node, order in orders.items()}
    assert plan_issues(3, composed, issued, {**highest, **orders}, ()) == {}


def test_the_world_knowing_a_higher_order_makes_a_new_document_with_the_same_content() -> None:
    issued = {"n1": document("n1", (1, 5))}
    assert plan_issues(2, {"n1": {}}, issued, {"n1": (1, 9)}, ()) == {"n1": (2, 10)}


@given(issued_documents(), st.sets(NODES))
def test_a_wiped_bucket_gets_every_document_again(issued: dict[str, IssuedDesired], silent: set[str]) -> None:
    assert set(plan_puts(issued, {}, silent)) == set(issued) - silent


@given(issued_documents())
def test_a_bucket_that_holds_it_all_gets_nothing(issued: dict[str, IssuedDesired]) -> None:
    held = {node: Held(item.envelope, item.order) for node, item in issued.items()}
    assert plan_puts(issued, held, ()) == ()


@given(issued_documents())
def test_without_reading_the_bucket_only_what_it_never_took_is_put(issued: dict[str, IssuedDesired]) -> None:
    assert set(plan_puts(issued, None, ())) == {node for node, item in issued.items() if item.kv_revision is None}


def test_a_newer_document_in_the_bucket_is_never_overwritten_and_a_forged_one_always() -> None:
    issued = {"n1": document("n1", (1, 5), revision=1), "n2": document("n2", (1, 5), revision=2)}
    held = {"n1": Held(b"newer", (1, 6)), "n2": Held(b"forged", None)}
    assert plan_puts(issued, held, ()) == ("n2",)


@given(st.sets(NODES), st.sets(NODES), st.sets(NODES))
def test_only_keys_of_nodes_that_were_known_and_are_gone_are_deleted(held: set[str], nodes: set[str], ever: set[str]) -> None:
    assert set(plan_deletes(held, nodes, ever, restored=False)) == held & ever - nodes
    assert plan_deletes(held, nodes, ever, restored=True) == ()
