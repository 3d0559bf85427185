"""The commands of one scan go out in the order in which their gates were read."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.actuate.order import oldest_first
from edge_agent.gate_control.model.values import Command, MoveTo, Sample
from edge_agent.gate_control.simulation.example import example_site

GATES = tuple(f"g{number}" for number in range(1, 9))
SITE = example_site(GATES)


def commands(*gates: str) -> list[Command]:
    return [MoveTo(gate, 40.0, "for a test") for gate in gates]


def samples(*gates: str) -> list[Sample]:
    return [Sample(f"{gate}-{what}", 1.0, 10.0) for gate in gates for what in ("level", "position")]


def test_the_gate_that_was_read_first_is_written_first() -> None:
    found = oldest_first(SITE, commands("g1", "g2", "g3"), samples("g3", "g1", "g2"))
    assert [command.gate for command in found] == ["g3", "g1", "g2"]


def test_gates_of_which_nothing_came_go_last_and_keep_their_order() -> None:
    found = oldest_first(SITE, commands("g4", "g1", "g3", "g2"), samples("g2"))
    assert [command.gate for command in found] == ["g2", "g4", "g1", "g3"]


@given(st.permutations(GATES), st.lists(st.sampled_from(GATES)), st.lists(st.sampled_from((*GATES, "nobody")), unique=True))
def test_no_command_is_lost_doubled_or_changed(read: list[str], again: list[str], asked: list[str]) -> None:
    given_commands = commands(*asked)
    found = oldest_first(SITE, given_commands, samples(*read, *again))
    assert sorted(found, key=repr) == sorted(given_commands, key=repr)
    known = [command.gate for command in found if command.gate in GATES]
    assert known == sorted(known, key=read.index)
