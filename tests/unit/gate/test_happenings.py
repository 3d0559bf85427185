"""What is kept as plain data is what a schema of the values would make of them, and is read back as it was."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from edge_agent.gate_control.decide.alarms import Raised
from edge_agent.gate_control.decide.instructions import Instruction
from edge_agent.gate_control.decide.modes import Place, Role
from edge_agent.gate_control.model.values import MoveTo, Pulse, StopMotion, WriteOutcome
from edge_agent.gate_control.replay.happenings import Base, Happened, base_data, happened_data, read_base, read_happened
from edge_agent.gate_control.replay.step import Memory
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_socket import SiteAction, SiteVerb
from tests.fakes.gate_story import Story

OUTCOMES = (
    WriteOutcome("g1", MoveTo("g1", 42.5, "level")),
    WriteOutcome("g2", Pulse("g2", -1, 3.0, "level"), "no answer"),
    WriteOutcome("g3", StopMotion("g3", "a person")),
)
INSTRUCTIONS = (
    Instruction("i1", GateAction(gate="g1", verb=GateVerb.MOVE, params={"opening_pct": 40.0}), "ana", Role.OPERATOR, Place.CONSOLE),
    Instruction("i2", SiteAction(gate="g1", verb=SiteVerb.TAG, holder="ana"), "ana", Role.MAINTAINER, Place.CONSOLE, code="123456"),
)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1_000), st.integers(3, 60))
def test_a_memory_is_kept_whole(seed: int, scans: int) -> None:
    story = Story(seed)
    for second in range(scans):
        story.scan(second, conditions={"site/journal_not_written": Raised("the disk is full")} if second % 7 == 3 else None)
    data = base_data(Base(story.memory, None, {}))
    assert data["memory"] == TypeAdapter(Memory).dump_python(story.memory, mode="json")
    assert read_base(json.loads(json.dumps(data))).memory == story.memory


def test_what_people_asked_and_what_became_of_commands_is_kept_whole() -> None:
    happened = Happened(OUTCOMES, INSTRUCTIONS, conditions={"site/x": Raised("why", "high")}, decided=("g1 move",))
    rows = happened_data(happened)
    assert rows[0] == {"written": TypeAdapter(tuple[WriteOutcome, ...]).dump_python(OUTCOMES, mode="json")}
    assert [row["instruction"] for row in rows[1:3]] == [TypeAdapter(Instruction).dump_python(one, mode="json") for one in INSTRUCTIONS]
    assert read_happened(json.loads(json.dumps(rows))) == happened
