"""What is remembered between passes."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.apply.memory import Memory
from edge_agent.observe.targets import Target
from edge_agent.plan.decide import Step, glance
from edge_agent.plan.prepare import digest_of, prepare
from shared.contracts.objects import object_ref
from tests.builders_kubernetes import config_map


def target(manifest: Any) -> Target:
    prepared = prepare(manifest, "shop", "home", True)
    return Target(object_ref(prepared), prepared, digest_of(prepared), None)


def live(wanted: Target, version: str = "7", **metadata: Any) -> Any:
    return {**wanted.manifest, "metadata": {**wanted.manifest["metadata"], "uid": "u", "resourceVersion": version, **metadata}}


def test_an_own_write_is_known_by_its_version_and_forgotten_with_its_app_alone() -> None:
    memory, wanted = Memory(), target(config_map())
    memory.note("shop", wanted, live(wanted))
    memory.note("other", wanted, live(wanted))
    assert memory.is_own_write("shop", wanted.ref, "7")
    assert not memory.is_own_write("shop", wanted.ref, "8")
    memory.forget("shop")
    assert memory.seen("shop", wanted.ref) is None
    assert memory.seen("other", wanted.ref) is not None


def test_a_release_is_complete_only_with_exactly_its_objects() -> None:
    memory, one, two = Memory(), target(config_map("one")), target(config_map("two"))
    memory.note_complete("shop", [one, two])
    assert memory.is_complete("shop", [two, one])
    assert not memory.is_complete("shop", [one])
    assert not memory.is_complete("shop", [one, target(config_map("two", a="changed"))])
    memory.forget("shop")
    assert not memory.is_complete("shop", [one, two])


VALUES = st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3)


@settings(deadline=None)
@given(st.lists(VALUES, max_size=5), st.none() | st.integers(1, 9))
def test_the_plan_of_a_settled_state_is_empty(contents: list[dict[str, str]], generation: int | None) -> None:
    memory = Memory()
    for place, data in enumerate(contents):
        wanted = target({**config_map(f"c{place}"), "data": data})
        now = live(wanted, str(place), **({"generation": generation} if generation else {}))
        memory.note("shop", wanted, now)
        again = target({**config_map(f"c{place}"), "data": dict(data)})
        assert glance(again.manifest, again.digest, now, "shop", None, memory.seen("shop", again.ref)).step is Step.UNCHANGED
