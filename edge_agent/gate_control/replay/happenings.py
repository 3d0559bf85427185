"""What happens beside samples, as plain data for a block and back: plans, instructions, conditions, what became of commands. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from edge_agent.gate_control.decide.alarms import Raised
from edge_agent.gate_control.decide.instructions import Instruction
from edge_agent.gate_control.model.values import WriteOutcome
from edge_agent.gate_control.replay.step import Memory
from shared.contracts.gate_plan import GatePlan

PLAN, INSTRUCTION, CONDITIONS, WRITTEN, DECIDED = "plan", "instruction", "conditions", "written", "decided"


@dataclass(frozen=True)
class Base:
    """Where a block begins."""

    memory: Memory
    plan: GatePlan | None
    conditions: Mapping[str, Raised]


@dataclass(frozen=True)
class Happened:
    """What came between two scans, and what became of the first one's commands."""

    written: tuple[WriteOutcome, ...] = ()
    """Of the scan before."""
    instructions: tuple[Instruction, ...] = ()
    plan: GatePlan | None = None
    is_new_plan: bool = False
    conditions: Mapping[str, Raised] | None = None
    """None: as they were."""
    decided: tuple[str, ...] | None = None
    """What this scan commanded, one line a command; None: nothing."""


def base_data(base: Base) -> dict[str, Any]:
    """Plain JSON data of a block's beginning."""
    return {
        "memory": _plain(base.memory),
        "plan": base.plan.to_json() if base.plan is not None else None,
        "conditions": _plain(dict(base.conditions)),
    }


def read_base(data: Mapping[str, Any]) -> Base:
    """A block's beginning.

    Raises:
        ValueError: the data is something else, or of a version whose state differs.
    """
    plan = data.get("plan")
    return Base(
        _reader(Memory).validate_python(data.get("memory")),
        GatePlan.model_validate(plan) if plan is not None else None,
        _reader(dict[str, Raised]).validate_python(data.get("conditions", {})),
    )


def happened_data(happened: Happened) -> tuple[dict[str, Any], ...]:
    """Plain JSON data, only of what there is."""
    rows: list[dict[str, Any]] = []
    if happened.written:
        rows.append({WRITTEN: _plain(happened.written)})
    rows += [{INSTRUCTION: _plain(one)} for one in happened.instructions]
    if happened.is_new_plan:
        rows.append({PLAN: happened.plan.to_json() if happened.plan is not None else None})
    if happened.conditions is not None:
        rows.append({CONDITIONS: _plain(dict(happened.conditions))})
    if happened.decided:
        rows.append({DECIDED: list(happened.decided)})
    return tuple(rows)


def read_happened(rows: Iterable[Mapping[str, Any]]) -> Happened:
    """What happened; rows of a newer version are left out.

    Raises:
        ValueError: a row is not what it says.
    """
    written: Sequence[WriteOutcome] = ()
    instructions: list[Instruction] = []
    plan, is_new_plan = None, False
    conditions: Mapping[str, Raised] | None = None
    decided: tuple[str, ...] | None = None
    for row in rows:
        if WRITTEN in row:
            written = _reader(tuple[WriteOutcome, ...]).validate_python(row[WRITTEN])
        elif INSTRUCTION in row:
            instructions.append(_reader(Instruction).validate_python(row[INSTRUCTION]))
        elif PLAN in row:
            is_new_plan = True
            plan = GatePlan.model_validate(row[PLAN]) if row[PLAN] is not None else None
        elif CONDITIONS in row:
            conditions = _reader(dict[str, Raised]).validate_python(row[CONDITIONS])
        elif DECIDED in row:
            decided = tuple(str(line) for line in row[DECIDED])
    return Happened(tuple(written), tuple(instructions), plan, is_new_plan, conditions, decided)


def _plain(value: object) -> Any:
    """JSON data of values as they are: no schema is made of them, which the process that controls would hold for nothing."""
    return to_jsonable_python(value, inf_nan_mode="null")


@cache
def _reader(kind: Any) -> TypeAdapter[Any]:
    """What checks that data is such a value; made where something is read back."""
    return TypeAdapter(kind)
