"""Commands: obeyed once, for this node, in time; and carried to the gate process."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_agent.command.gate_client import GateClient, GateRefused, GateUnreachable
from edge_agent.command.handler import CLOCK_TOLERANCE_S, CommandHandler
from edge_agent.store.state import StateStore
from shared.contracts.command import Command, CommandReply
from shared.contracts.gate_command import CommandView
from shared.contracts.gate_socket import GateReply, GateRequest, GateStatus, PlanView
from shared.contracts.subjects import command as command_subject
from shared.signing.dsse import sign_document
from shared.signing.keys import Signer
from tests.builders_agent import CENTRAL, NODE, STRANGER, TRUST, new_id, open_store
from tests.fakes.fake_bus import FakeBus
from tests.fakes.fake_clock import START, FakeClock


class FakeGate:
    def __init__(self) -> None:
        self.plans: list[Mapping[str, Any]] = []
        self.commands: list[Mapping[str, Any]] = []
        self.error: Exception | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def status(self) -> GateStatus:
        await self.may_answer.wait()
        return GateStatus(site="north", scan=7, scanned_at=START, scan_period_s=1.0)

    async def set_plan(self, envelope: Mapping[str, Any]) -> PlanView:
        if self.error is not None:
            raise self.error
        self.plans.append(envelope)
        return PlanView(state="in_force", generation=4)

    async def run_command(self, envelope: Mapping[str, Any]) -> CommandView:
        if self.error is not None:
            raise self.error
        self.commands.append(envelope)
        return CommandView(id="0123456789abcdef", gate="g1", verb="move", accepted=True, reasons=("to 40.0 %",))

    async def show_plan(self) -> PlanView:
        return PlanView(state="standby", generation=3)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.clock, self.gate = FakeClock(), FakeGate()
        self.store: StateStore = open_store(folder, self.clock)
        self.handler = self.make(self.gate)

    def make(self, gate: FakeGate | None) -> CommandHandler:
        return CommandHandler(self.store, TRUST, NODE, self.clock, gate, lambda: {"apps": {}})

    def command(self, verb: str, payload: dict[str, Any] | None = None, *, signer: Signer = CENTRAL, **more: Any) -> bytes:
        fields: dict[str, Any] = {
            "command_id": new_id(),
            "node": NODE,
            "verb": verb,
            "issued_at": self.clock.wall(),
            "expires_at": self.clock.wall() + timedelta(seconds=40),
            "payload": payload or {},
        }
        return sign_document(Command(**(fields | more)), [signer])

    async def send(self, verb: str, payload: dict[str, Any] | None = None, *, subject: str = "", **more: Any) -> CommandReply:
        return await self.handler.answer(subject or command_subject(NODE, verb), self.command(verb, payload, **more))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_each_known_verb_is_answered(bench: Bench) -> None:
    assert (await bench.send("ping")).data == {"apps": {}}
    assert (await bench.send("gate.status")).data["scan"] == 7
    assert (await bench.send("gate.plan.show")).data["state"] == "standby"
    reply = await bench.send("gate.plan.set", {"envelope": {"payload": "p"}})

    carried = await bench.send("gate.command.run", {"envelope": {"payload": "c"}})

    assert (carried.accepted, carried.data["reasons"], bench.gate.commands) == (True, ["to 40.0 %"], [{"payload": "c"}])
    assert (reply.accepted, reply.data["generation"]) == (True, 4)
    assert bench.gate.plans == [{"payload": "p"}]


async def test_what_is_not_for_this_node_or_not_signed_is_refused(bench: Bench) -> None:
    refused = {
        "SignatureInvalid": await bench.send("ping", signer=STRANGER),
        "WrongAddress": await bench.send("ping", node="pi-south"),
        "UnknownVerb": await bench.send("reboot"),
        "Malformed": await bench.send("gate.command.run", {"envelope": "text"}),
    }

    assert {reply.code for reply in refused.values()} == refused.keys()
    assert not any(reply.accepted for reply in refused.values())
    assert (await bench.send("gate.plan.set", {"envelope": {}}, subject=command_subject(NODE, "ping"))).code == "WrongAddress"
    assert (await bench.handler.answer(command_subject(NODE, "ping"), b"nonsense")).code == "Malformed"


async def test_a_command_is_obeyed_once_also_over_a_restart(bench: Bench, tmp_path: Path) -> None:
    body = bench.command("gate.plan.set", {"envelope": {}})
    subject = command_subject(NODE, "gate.plan.set")
    assert (await bench.handler.answer(subject, body)).accepted
    bench.store.close()
    bench.store = open_store(tmp_path, bench.clock)
    again = bench.make(bench.gate)

    assert (await again.answer(subject, body)).code == "Replayed"
    assert len(bench.gate.plans) == 1


async def test_expiry_forgives_clocks_that_differ_a_little(bench: Bench) -> None:
    almost = bench.clock.wall() - timedelta(seconds=CLOCK_TOLERANCE_S - 5)
    late = bench.clock.wall() - timedelta(seconds=CLOCK_TOLERANCE_S + 5)

    assert (await bench.send("ping", expires_at=almost)).accepted
    assert (await bench.send("ping", expires_at=late)).code == "Expired"


async def test_a_node_that_lost_its_clock_stays_within_reach(bench: Bench) -> None:
    body = bench.command("ping")
    bench.clock.jump_wall(9 * 86_400)
    bench.clock.synchronised = False

    assert (await bench.handler.answer(command_subject(NODE, "ping"), body)).accepted
    assert (await bench.handler.answer(command_subject(NODE, "ping"), body)).code == "Replayed"


async def test_the_gates_own_word_goes_back_to_central(bench: Bench) -> None:
    bench.gate.error = GateRefused("generation 3 is not newer than 4", code="OutOfOrder")
    refused = await bench.send("gate.plan.set", {"envelope": {}})
    bench.gate.error = GateRefused("gate g1 is tagged out by som", code="TaggedOut")
    tagged = await bench.send("gate.command.run", {"envelope": {}})
    bench.gate.error = GateUnreachable("connection refused", subject="gate.sock")
    unreachable = await bench.send("gate.plan.set", {"envelope": {}})

    assert (refused.accepted, refused.code) == (False, "OutOfOrder")
    assert "generation 3" in refused.reason
    assert (tagged.accepted, tagged.code, "som" in tagged.reason) == (False, "TaggedOut", True)
    assert unreachable.code == "GateUnreachable"


async def test_a_node_without_a_gate_says_so(bench: Bench) -> None:
    bench.handler = bench.make(None)

    assert (await bench.send("gate.status")).code == "NoGate"


async def test_a_slow_gate_keeps_no_other_command_waiting(bench: Bench) -> None:
    bus = FakeBus()
    session = await bus.open()
    task = asyncio.create_task(bench.handler.run(session))
    await bench.clock.settle()
    bench.gate.may_answer.clear()

    await bus.notice(command_subject(NODE, "gate.status"), bench.command("gate.status"))
    await bus.notice(command_subject(NODE, "ping"), bench.command("ping", command_id="f" * 32))
    await bench.clock.settle()

    assert not bench.store.nonces.use("f" * 32, START, START)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# ------------------------------------------------------------------------------------------------------- the socket


class GateSocket:
    """A gate process that answers what a test says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: list[GateRequest] = []
        self.reply: Any = {"ok": True, "data": {"state": "in_force", "generation": 4}}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = GateRequest.model_validate_json(await reader.readline())
        self.requests.append(request)
        if isinstance(self.reply, bytes):
            writer.write(self.reply)
        else:
            writer.write(GateReply(id=request.id, **self.reply).model_dump_json().encode() + b"\n")
        writer.close()


@pytest.fixture
async def gate_socket(tmp_path: Path) -> AsyncIterator[GateSocket]:
    made = GateSocket(tmp_path / "g.sock")
    server = await asyncio.start_unix_server(made.serve, str(made.path))
    yield made
    server.close()
    await server.wait_closed()


async def test_the_client_asks_over_the_socket(gate_socket: GateSocket) -> None:
    view = await GateClient(gate_socket.path, new_id).set_plan({"payload": "p"})

    assert (view.state, view.generation) == ("in_force", 4)
    assert gate_socket.requests[0].params == {"envelope": {"payload": "p"}}


async def test_a_refusal_of_the_gate_has_its_code(gate_socket: GateSocket) -> None:
    gate_socket.reply = {"ok": False, "code": "PlanRefused", "reason": "gate g1: 3.1 m is above the local limit"}

    with pytest.raises(GateRefused, match="local limit") as caught:
        await GateClient(gate_socket.path, new_id).show_plan()
    assert caught.value.code == "PlanRefused"


@pytest.mark.parametrize("answer", [b"", b"nonsense\n", json.dumps({"kind": "GateReply"}).encode() + b"\n"])
async def test_a_gate_that_answers_nonsense_counts_as_unreachable(gate_socket: GateSocket, answer: bytes) -> None:
    gate_socket.reply = answer

    with pytest.raises(GateUnreachable):
        await GateClient(gate_socket.path, new_id).status()


async def test_no_gate_process_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(GateUnreachable, match="munbon-gate"):
        await GateClient(tmp_path / "absent.sock", new_id).status()
