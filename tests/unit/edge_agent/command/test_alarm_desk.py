"""The agent's own alarms are acknowledged by a person's signature, also while the gate process is dead; all else is the gate's."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from edge_agent.command.alarm_desk import GateWithOwnAlarms
from edge_agent.command.gate_client import GateRefused, GateUnreachable
from shared.contracts.envelope import Role
from shared.contracts.gate_command import CommandView, GateCommand
from shared.signing.dsse import make_trust_root, sign_document
from shared.signing.keys import Signer
from tests.builders_agent import CENTRAL, OPERATOR, new_id
from tests.fakes.fake_clock import FakeClock
from tests.unit.edge_agent.command.test_handler import FakeGate

TRUST = make_trust_root({Role.GATE_COMMAND: [OPERATOR.public], Role.COMMAND: [CENTRAL.public]})


class Guard:
    """Two alarms of the agent, nobody has seen them."""

    def __init__(self) -> None:
        self.site = "north"
        self.seen: dict[str, str] = {"site/crash_loop": "", "site/not_scanning": ""}

    def meant(self, alarm: str) -> tuple[str, ...]:
        return tuple(key for key in self.seen if alarm in ("", key, key.removeprefix("site/")))

    def acknowledge(self, key: str, by: str, command_id: str) -> bool:
        was_new, self.seen[key] = not self.seen[key], by
        return was_new


class Bench:
    def __init__(self) -> None:
        self.clock, self.gate, self.guard = FakeClock(), FakeGate(), Guard()
        self.desk = GateWithOwnAlarms(self.gate, self.guard, TRUST, self.clock, 120.0)

    def envelope(self, signer: Signer = OPERATOR, **more: Any) -> Mapping[str, Any]:
        now = self.clock.wall()
        fields = {
            "id": new_id(),
            "site": "north",
            "verb": "ack",
            "author": "som",
            "issued_at": now,
            "expires_at": now + timedelta(seconds=60),
        }
        found: Mapping[str, Any] = json.loads(sign_document(GateCommand.model_validate(fields | more), [signer]))
        return found

    async def ack(self, alarm: str = "", signer: Signer = OPERATOR, **more: Any) -> CommandView:
        return await self.desk.run_command(self.envelope(signer, params={"alarm": alarm}, **more))


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_an_alarm_of_the_agent_is_acknowledged_though_the_gate_is_dead(bench: Bench) -> None:
    bench.gate.error = GateUnreachable("connection refused")
    view = await bench.ack("site/not_scanning")
    assert (view.accepted, view.reasons) == (True, ("site/not_scanning acknowledged",))
    assert bench.guard.seen["site/crash_loop"] == ""
    assert bench.guard.seen["site/not_scanning"].startswith("som (key ")
    assert (await bench.ack("not_scanning")).reasons == ("site/not_scanning was acknowledged before",)


async def test_all_means_the_agents_and_the_gates(bench: Bench) -> None:
    view = await bench.ack()
    assert view.reasons == ("site/crash_loop acknowledged", "site/not_scanning acknowledged", "to 40.0 %")
    bench.gate.error = GateUnreachable("connection refused")
    assert (await bench.ack()).reasons[-1] == "the gate process does not answer: its own alarms stand as before"
    bench.gate.error = GateRefused("there is no alarm to acknowledge", code="NothingToDo")
    assert (await bench.ack()).accepted


async def test_a_repeat_gets_the_same_answer_also_where_the_alarm_is_over(bench: Bench) -> None:
    envelope = bench.envelope(params={"alarm": "crash_loop"})
    first = await bench.desk.run_command(envelope)
    bench.guard.seen.clear()
    again = await bench.desk.run_command(envelope)
    assert (again.repeated, again.reasons) == (True, first.reasons)


@pytest.mark.parametrize(
    "other",
    [
        {"signer": CENTRAL},
        {"site": "south"},
        {"gate": "g1"},
        {"alarm": "g1/stuck"},
        {"expires_at_s": -300.0},
    ],
)
async def test_what_is_not_signed_for_here_and_now_goes_to_the_gate_which_refuses_it(bench: Bench, other: dict[str, Any]) -> None:
    more = dict(other)
    if (ago_s := more.pop("expires_at_s", None)) is not None:
        past = bench.clock.wall() + timedelta(seconds=ago_s)
        more |= {"issued_at": past - timedelta(seconds=60), "expires_at": past}
    bench.gate.error = GateRefused("the gate's own word", code="SignatureInvalid")
    with pytest.raises(GateRefused):
        await bench.ack(more.pop("alarm", ""), **more)
    assert not any(bench.guard.seen.values())


async def test_a_move_is_never_looked_into(bench: Bench) -> None:
    envelope = bench.envelope(gate="g1", verb="move", params={"opening_pct": 40.0})
    assert (await bench.desk.run_command(envelope)).verb == "move"
    assert bench.gate.commands == [envelope]
    assert (await bench.desk.run_command({"payload": "nonsense"})).verb == "move"
