"""Field sets behave as sets of paths, whatever their tree looks like."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deploy.local_cluster.in_memory import field_sets
from deploy.local_cluster.in_memory.field_sets import MEMBER, FieldSet

Path = tuple[str, ...]
PATHS = st.sets(st.lists(st.sampled_from(["f:a", "f:b", 'k:{"n":"x"}', 'v:"y"']), min_size=1, max_size=4).map(tuple), max_size=8)


def tree(paths: set[Path]) -> FieldSet:
    root: FieldSet = {}
    for path in paths:
        here = root
        for element in path:
            here = here.setdefault(element, {})
        here[MEMBER] = {}
    return _canonical(root)


def _canonical(node: FieldSet) -> FieldSet:
    return {} if set(node) == {MEMBER} else {key: {} if key == MEMBER else _canonical(child) for key, child in node.items()}


def members(node: FieldSet, above: Path = ()) -> set[Path]:
    found: set[Path] = set()
    for key, child in node.items():
        if key != MEMBER:
            here = (*above, key)
            found |= members(child, here) | ({here} if field_sets.is_member(child) else set())
    return found


@given(PATHS)
def test_a_tree_holds_the_paths_it_was_made_of(paths: set[Path]) -> None:
    assert members(tree(paths)) == paths
    assert len(field_sets.paths(tree(paths))) == len(paths)


@given(PATHS, PATHS)
def test_union_difference_and_intersection_are_those_of_sets(left: set[Path], right: set[Path]) -> None:
    one, two = tree(left), tree(right)
    assert members(field_sets.union(one, two)) == left | right
    assert members(field_sets.difference(one, two)) == left - right
    assert members(field_sets.intersection(one, two)) == left & right


@given(PATHS, PATHS)
def test_results_are_as_compact_as_trees_made_afresh(left: set[Path], right: set[Path]) -> None:
    one, two = tree(left), tree(right)
    assert field_sets.union(one, two) == tree(left | right)
    assert field_sets.difference(one, two) == tree(left - right)
    assert field_sets.intersection(one, two) == tree(left & right)


@given(PATHS, PATHS)
def test_without_trees_drops_all_below_a_member(left: set[Path], right: set[Path]) -> None:
    kept = {path for path in left if not any(path[:length] in right for length in range(1, len(path) + 1))}
    assert members(field_sets.without_trees(tree(left), tree(right))) == kept


@given(PATHS, PATHS)
def test_nothing_is_changed_in_place(left: set[Path], right: set[Path]) -> None:
    one, two = tree(left), tree(right)
    field_sets.union(one, two), field_sets.difference(one, two), field_sets.intersection(one, two), field_sets.without_trees(one, two)
    assert (one, two) == (tree(left), tree(right))


def test_paths_are_shown_as_conflicts_show_them() -> None:
    element = 'k:{"containerPort":80,"protocol":"TCP"}'
    shown = field_sets.paths({"f:spec": {"f:ports": {element: {".": {}, "f:name": {}}}, "f:set": {'v:"x"': {}}, "f:plain": {}}})
    assert shown == [
        '.spec.ports[containerPort=80,protocol="TCP"]',
        '.spec.ports[containerPort=80,protocol="TCP"].name',
        '.spec.set[="x"]',
        ".spec.plain",
    ]
