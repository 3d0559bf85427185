"""The way of a command on the node: agent, socket, desk. Central's key opens none of it."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from edge_agent.command.gate_client import GateClient
from edge_agent.command.handler import CommandHandler
from edge_agent.gate_control.console.server import ConsoleServer
from shared.contracts.command import VERB_GATE_COMMAND_RUN, Command, CommandReply
from shared.contracts.gate_command import GateVerb
from shared.contracts.subjects import command as command_subject
from shared.signing.dsse import sign_document
from tests.builders_agent import CENTRAL, NODE, TRUST, new_id, open_store
from tests.fakes.desk import DeskBench
from tests.unit.gate.test_console_commands import ScriptedSite


class Node:
    """An agent beside a gate process, both real but for the bus and the scan."""

    def __init__(self, folder: Path) -> None:
        self.desk = DeskBench(folder)
        self.store = open_store(folder, self.desk.clock)
        self.socket = folder / "gate.sock"
        self.server = ConsoleServer(self.socket, ScriptedSite(self.desk), roles={})
        gate = GateClient(self.socket, new_id)
        self.agent = CommandHandler(self.store, TRUST, NODE, self.desk.clock, gate, lambda: {})

    async def carry(self, envelope: bytes) -> CommandReply:
        """What central sends: its own signed Command around what a person signed."""
        now = self.desk.clock.wall()
        command = Command(
            command_id=new_id(), node=NODE, verb=VERB_GATE_COMMAND_RUN, issued_at=now, expires_at=now + timedelta(seconds=40),
            payload={"envelope": json.loads(envelope)},
        )  # fmt: skip
        return await self.agent.answer(command_subject(NODE, VERB_GATE_COMMAND_RUN), sign_document(command, [CENTRAL]))


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    made = Node(tmp_path)
    await made.desk.start()
    await made.server.start()
    yield made
    await made.server.stop()
    await made.desk.stop()
    made.store.close()


async def test_what_a_person_signed_is_carried_out_and_answered(node: Node) -> None:
    reply = await node.carry(node.desk.command())
    assert (reply.accepted, reply.data["verb"], reply.data["gate"]) == (True, "move", "g1")
    assert node.desk.modes["g1"].motion is not None


async def test_central_alone_cannot_move_a_gate(node: Node) -> None:
    reply = await node.carry(node.desk.command(signer=CENTRAL))
    assert (reply.accepted, reply.code) == (False, "SignatureInvalid")
    assert "needs 1" in reply.reason
    assert node.desk.acted == []


async def test_central_cannot_change_replay_or_hold_back_what_a_person_signed(node: Node) -> None:
    envelope = node.desk.command()
    changed = json.loads(envelope)
    changed["payload"] = json.loads(node.desk.command(params={"opening_pct": 100.0}))["payload"]
    assert (await node.carry(json.dumps(changed).encode())).code == "SignatureInvalid"
    assert (await node.carry(envelope)).accepted
    assert (await node.carry(envelope)).data["repeated"]
    assert len(node.desk.acted) == 1
    late = node.desk.command()
    node.desk.clock.tick(600.0)
    assert (await node.carry(late)).code == "Expired"


async def test_the_gates_own_refusal_reaches_central_word_for_word(node: Node) -> None:
    assert (await node.carry(node.desk.command(GateVerb.STOP))).accepted
    reply = await node.carry(node.desk.command(GateVerb.RESET_TRIP))
    assert (reply.accepted, reply.code) == (False, "NothingToDo")
    assert reply.reason.endswith("gate g1: the gate is not tripped")


async def test_a_gate_process_that_is_away_is_told(node: Node) -> None:
    await node.server.stop()
    assert (await node.carry(node.desk.command())).code == "GateUnreachable"
