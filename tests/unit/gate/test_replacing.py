"""Our `replace` is that of dataclasses, for every value that passes from scan to scan."""

import dataclasses
import inspect
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.decide import alarms, interlocks, modes, starts, state
from edge_agent.gate_control.model import values
from edge_agent.gate_control.model.replacing import replace

KINDS = sorted(
    {
        kind
        for module in (alarms, interlocks, modes, starts, state, values)
        for _, kind in inspect.getmembers(module, lambda found: isinstance(found, type) and dataclasses.is_dataclass(found))
    },
    key=lambda kind: kind.__name__,
)


def test_there_are_values_to_copy() -> None:
    assert {values.PointHistory, values.GateState, modes.GateModes, state.SiteState} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_copy_is_that_of_dataclasses_and_leaves_the_first_one_alone(kind: type[Any], data: st.DataObject) -> None:
    names = [field.name for field in dataclasses.fields(kind)]
    first = kind(**{name: data.draw(st.integers(), label=name) for name in names})
    changes = data.draw(st.dictionaries(st.sampled_from(names), st.text(max_size=3)))
    before = dataclasses.astuple(first)
    copy = replace(first, **changes)
    assert copy == dataclasses.replace(first, **changes)
    assert hash(copy) == hash(dataclasses.replace(first, **changes))
    assert dataclasses.astuple(first) == before


@pytest.mark.parametrize("kind", KINDS)
def test_no_value_does_more_on_its_making_than_keep_its_fields(kind: type[Any]) -> None:
    assert not hasattr(kind, "__post_init__")
    assert not hasattr(kind, "__slots__")
    assert all(field.init for field in dataclasses.fields(kind))


def test_a_field_that_there_is_not_is_refused() -> None:
    @dataclass(frozen=True)
    class Level:
        level_m: float

    with pytest.raises(TypeError, match="Level has no field opening_pct"):
        replace(Level(1.0), opening_pct=3.0)
