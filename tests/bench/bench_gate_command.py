"""From an operator's command to the actuator's register: laptop, central, bus, agent, gate, Modbus, all of it real."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from statistics import median

from central.cli.client import Client
from central.cli.config import Context
from deploy.harness.world import NodePlan, World, throw_away_world
from edge_agent.gate_control.console.client import ask
from shared.clock import SystemClock
from shared.contracts.api import GateCommandSend
from shared.contracts.gate_command import CommandView, GateCommand, GateVerb
from shared.contracts.gate_socket import GateOperation, GateStatus
from shared.signing.dsse import sign_document
from tests.bench.result import Result

NAMES = ("gate_command_to_register_p99_ms",)
COMMANDS = 150
PAUSE_S = 0.35
PROCESSES = 5
FIRST_PCT, STEP_PCT = 15.0, 0.5


async def run(wanted: frozenset[str]) -> list[Result]:
    """From the moment at which the laptop begins to sign a `move` to the gate's answer, which comes after the write to the register.

    150 moves, each further open than the one before, at any moment of the scan (1 s), through the CLI's own client: central checks,
    audits (twice, on disk) and carries each, the agent notes it on disk, the gate notes it on disk, scans at once and writes. Real
    nats-server, real processes, real Modbus TCP. Not in the figure: the start of Python for the CLI, which `cli_process_ms` shows.
    """
    async with fleet() as world:
        took_ms = sorted([await one_move(world, FIRST_PCT + STEP_PCT * number) for number in range(COMMANDS)])
        whole_ms = [await one_process(world, 92.0 - number) for number in range(PROCESSES)]
    params = {
        "goal": 250,
        "commands": COMMANDS,
        "median": round(median(took_ms)),
        "worst": round(took_ms[-1]),
        "cli_process_ms": round(median(whole_ms)),
        "cluster": "in memory",
    }
    return [Result(NAMES[0], round(took_ms[int(0.99 * COMMANDS)]), "ms", "lower", params)]


@asynccontextmanager
async def fleet() -> AsyncIterator[World]:
    """One node with a gate."""
    async with throw_away_world({"pi-north": NodePlan("memory", {"site": "north"}, has_gate=True, site="north")}) as world:
        await world.until_online("pi-north")
        yield world


async def one_move(world: World, opening_pct: float) -> float:
    """Milliseconds of one move."""
    await asyncio.sleep(PAUSE_S)
    token = world.central.token_file.read_text().strip()
    context = Context("bench", world.central.url, token)
    started_s = time.perf_counter()
    view = await asyncio.to_thread(send, context, world, opening_pct)
    if not view.accepted:
        raise RuntimeError(f"the gate refused: {view.code} {view.reason}")
    if not is_written(view.reasons, opening_pct):
        await until_written(world, opening_pct)  # its actuator did not answer in that scan: the next one writes
    return (time.perf_counter() - started_s) * 1_000.0


def is_written(reasons: Sequence[str], opening_pct: float) -> bool:
    """Whether the scan that took the command wrote it."""
    return any(reason.startswith("moved by") and f"to {opening_pct:.1f} %" in reason for reason in reasons)


async def until_written(world: World, opening_pct: float) -> None:
    """Wait until the gate says so on its socket."""
    gate = world["pi-north"].gate
    if gate is None:
        raise RuntimeError("the node has no gate")
    async with asyncio.timeout(30.0):
        while True:
            status = GateStatus.model_validate(await asyncio.to_thread(ask, gate.socket, GateOperation.STATUS))
            if is_written(status.gates["g1"].reasons, opening_pct):
                return
            await asyncio.sleep(0.01)


def send(context: Context, world: World, opening_pct: float) -> CommandView:
    """What `munbon gate move` does, without the start of a process."""
    now = SystemClock().wall()
    command = GateCommand(
        id=secrets.token_hex(16),
        site="north",
        gate="g1",
        verb=GateVerb.MOVE,
        params={"opening_pct": opening_pct},
        issued_at=now,
        expires_at=now + timedelta(seconds=60),
    )
    envelope = json.loads(sign_document(command, [world.central.operator_key]))
    with Client(context) as client:
        return client.send("POST", "/gates/north/commands", GateCommandSend(envelope=envelope), CommandView)


async def one_process(world: World, opening_pct: float) -> float:
    """Milliseconds of a whole `munbon gate move`."""
    started_s = time.perf_counter()
    await world.operator.run("gate", "move", "north", "g1", str(opening_pct))
    return (time.perf_counter() - started_s) * 1_000.0
