"""Server-side apply in general: properties that hold for any objects and any order of managers."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deploy.local_cluster.in_memory import field_sets, managers, typed
from deploy.local_cluster.in_memory.managers import APPLY, ApplyConflictError, Managed, Writer
from deploy.local_cluster.in_memory.schema import Type, builtin_types

Obj = dict[str, Any]
DEPLOYMENT = builtin_types()["apps/v1/Deployment"]
STATUS: field_sets.FieldSet = {"f:status": {}}

_words = st.sampled_from(["a", "b", "c"])
_env = st.lists(
    st.fixed_dictionaries({"name": _words}, optional={"value": _words}), min_size=1, max_size=3, unique_by=lambda each: each["name"]
)
_ports = st.lists(
    st.fixed_dictionaries(
        {"containerPort": st.sampled_from([80, 81])}, optional={"protocol": st.sampled_from(["TCP", "UDP"]), "name": _words}
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda each: (each["containerPort"], each.get("protocol", "TCP")),
)
_containers = st.lists(
    st.fixed_dictionaries(
        {"name": _words}, optional={"image": _words, "env": _env, "ports": _ports, "command": st.lists(_words, min_size=1, max_size=2)}
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda each: each["name"],
)
_labels = st.dictionaries(_words, _words, min_size=1, max_size=3)
_tolerations = st.lists(st.fixed_dictionaries({"key": _words}), min_size=1, max_size=2)


@st.composite
def configs(draw: st.DrawFn) -> Obj:
    """What somebody might apply: labels, numbers, keyed lists, atomic lists, sets."""
    pod = draw(st.fixed_dictionaries({}, optional={"containers": _containers, "tolerations": _tolerations, "nodeSelector": _labels}))
    spec: Obj = draw(st.fixed_dictionaries({}, optional={"replicas": st.integers(0, 3), "paused": st.booleans()}))
    if pod:
        spec["template"] = {"spec": pod}
    metadata: Obj = {"name": "x"}
    metadata |= draw(
        st.fixed_dictionaries({}, optional={"labels": _labels, "finalizers": st.lists(_words, min_size=1, max_size=2, unique=True)})
    )
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, **({"spec": spec} if spec else {})}


def applied(
    live: Obj, managed: Managed, config: Obj, who: str, force: bool = True, at: str = "t1", kind: Type = DEPLOYMENT
) -> tuple[Obj, Managed]:
    return managers.apply(kind, live, config, managed, Writer(who, APPLY, "apps/v1", at), force, STATUS)


def _leaves(value: Any, above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Scalars and lists of an object by path, without empty maps."""
    if isinstance(value, dict):
        return {path: leaf for key, inner in value.items() for path, leaf in _leaves(inner, (*above, key)).items()}
    return {above: value} if value != [] else {}


@given(configs(), configs())
def test_applying_twice_is_applying_once(first: Obj, config: Obj) -> None:
    live, managed = applied({}, {}, first, "other")
    once, by_once = applied(live, managed, config, "me", at="t2")
    twice, by_twice = applied(once, by_once, config, "me", at="t3")
    assert twice == once
    assert managers.encode(by_twice) == managers.encode(by_once)


@given(configs())
def test_the_first_apply_gives_what_was_applied(config: Obj) -> None:
    live, managed = applied({}, {}, config, "me")
    assert live == config
    owned = managed.get(("me", APPLY, "", ""))
    assert (owned.fields if owned else {}) == field_sets.difference(typed.field_set(DEPLOYMENT, config), managers._NEVER_OWNED)


@given(configs(), configs())
def test_alone_the_newest_apply_decides_everything(old: Obj, new: Obj) -> None:
    live, managed = applied({}, {}, old, "me")
    live, managed = applied(live, managed, new, "me")
    assert _leaves(_sorted_lists(live)) == _leaves(_sorted_lists(new))


def _sorted_lists(value: Any) -> Any:
    """An object whose keyed lists are in a fixed order: a merge may keep another order."""
    if isinstance(value, dict):
        return {key: _sorted_lists(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted((_sorted_lists(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
    return value


@given(configs(), configs())
def test_what_i_apply_by_force_is_there_and_mine(live_config: Obj, config: Obj) -> None:
    live, managed = applied({}, {}, live_config, "other")
    merged, managed = applied(live, managed, config, "me")
    change = typed.compare(DEPLOYMENT, merged, typed.merge(DEPLOYMENT, merged, config))
    assert change.is_same()
    own = managed.get(("me", APPLY, "", ""))
    assert (own.fields if own else {}) == field_sets.difference(typed.field_set(DEPLOYMENT, config), managers._NEVER_OWNED)


@given(configs(), configs())
def test_letting_everything_go_leaves_what_the_other_has(first: Obj, second: Obj) -> None:
    nothing = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}}
    alone, _ = applied({}, {}, first, "other")
    live, managed = applied({}, {}, first, "other")
    try:
        live, managed = applied(live, managed, second, "me", force=False)
    except ApplyConflictError:
        return
    live, managed = applied(live, managed, nothing, "me")
    assert _leaves(_sorted_lists(live)) == _leaves(_sorted_lists(alone))
    assert {identity[0] for identity in managed} <= {"other"}


@given(configs(), configs())
def test_managers_of_different_fields_never_conflict(first: Obj, second: Obj) -> None:
    live, managed = applied({}, {}, first, "other")
    shared = field_sets.intersection(typed.field_set(DEPLOYMENT, first), typed.field_set(DEPLOYMENT, second))
    shared = field_sets.difference(shared, managers._NEVER_OWNED)
    if shared:
        return
    merged, managed = applied(live, managed, second, "me", force=False)
    assert typed.compare(DEPLOYMENT, merged, typed.merge(DEPLOYMENT, merged, first)).is_same()


@given(configs(), configs())
def test_without_force_a_conflict_is_told_just_when_an_owned_field_would_change(first: Obj, second: Obj) -> None:
    live, managed = applied({}, {}, first, "other")
    change = typed.compare(DEPLOYMENT, live, typed.merge(DEPLOYMENT, live, second))
    owned = managed[("other", APPLY, "", "")].fields if managed else {}
    expected = field_sets.intersection(owned, field_sets.union(change.modified, change.added))
    told: set[str] = set()
    try:
        applied(live, managed, second, "me", force=False)
    except ApplyConflictError as error:
        told = {cause["field"] for cause in error.causes()}
    assert told == set(field_sets.paths(expected))


@given(configs(), configs())
def test_an_update_by_hand_owns_what_it_changed_and_no_more(before: Obj, after: Obj) -> None:
    live, managed = applied({}, {}, before, "me")
    if not managed:
        return
    hand = Writer("hand", managers.UPDATE, "apps/v1", "t2")
    result = managers.update(DEPLOYMENT, live, after, managed, hand, STATUS)
    change = typed.compare(DEPLOYMENT, live, after)
    gained = field_sets.difference(field_sets.union(change.modified, change.added), managers._NEVER_OWNED)
    entry = result.get(hand.identity)
    assert (entry.fields if entry else {}) == gained
    mine = result.get(("me", APPLY, "", ""))
    assert not field_sets.intersection(mine.fields if mine else {}, field_sets.union(gained, change.removed))


@given(configs(), configs())
def test_comparison_and_merge_change_nothing_in_place(one: Obj, two: Obj) -> None:
    shown = (repr(one), repr(two))
    typed.merge(DEPLOYMENT, one, two)
    typed.compare(DEPLOYMENT, one, two)
    live, managed = applied({}, {}, one, "a")
    applied(live, managed, two, "b")
    assert (repr(one), repr(two)) == shown


@given(configs())
def test_an_object_does_not_differ_from_itself(config: Obj) -> None:
    assert typed.compare(DEPLOYMENT, config, config).is_same()
    assert typed.merge(DEPLOYMENT, config, config) == config


@given(configs(), configs())
def test_managed_fields_survive_being_written_and_read(one: Obj, two: Obj) -> None:
    live, managed = applied({}, {}, one, "a")
    _, managed = applied(live, managed, two, "b")
    assert managers.encode(managers.decode(managers.encode(managed))) == managers.encode(managed)
