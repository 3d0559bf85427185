"""Files of the state folder cut anywhere, zeroed, or replaced by garbage: the gate starts, looks on, says so, and invents nothing."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.gate_control.journal.state_file import STATE_FILE
from edge_agent.gate_control.simulation.plant import Position
from shared.contracts.gate_plan import PositionObjective
from tests.fakes.gate import make_plan
from tests.integration.gate.conftest import SCAN_S, Bench, until

SEED = 4
PLAN_PCT, ELSEWHERE_PCT = 40.0, 55.0
SCANS = 15
"""So many scans the gate is watched; a healthy one has begun to move by then."""
Damage = Callable[[random.Random, bytes], bytes]

pytestmark = pytest.mark.slow


def cut(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.randrange(len(content) - 1)]


def cut_to_nothing(_chance: random.Random, _content: bytes) -> bytes:
    return b""


def zero(_chance: random.Random, content: bytes) -> bytes:
    return bytes(len(content))


def zero_tail(chance: random.Random, content: bytes) -> bytes:
    """As a file system leaves it that grew the file before it wrote the blocks."""
    kept = chance.randrange(len(content) - 1)
    return content[:kept] + bytes(len(content) - kept)


def garbage(chance: random.Random, content: bytes) -> bytes:
    return chance.randbytes(len(content))


def other_json(_chance: random.Random, _content: bytes) -> bytes:
    return b'{"state": {"gates": []}, "modes": 7}'


DAMAGES: list[Damage] = [cut, cut, cut_to_nothing, zero, zero_tail, garbage, other_json]


async def make_history(bench: Bench) -> None:
    """A gate that was armed, has a plan, was tagged out once, and went where it should; it was moved meanwhile."""
    await bench.start()
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=PLAN_PCT)))).ok
    await until(lambda: abs((bench.gate()["opening_pct"] or 0.0) - PLAN_PCT) < 0.5 and not bench.gate()["moving"], what="gate in its place")
    await bench.end()
    bench.canal.write("g1", Position(ELSEWHERE_PCT))
    await until(lambda: abs(bench.canal.actuators["g1"].position_pct - ELSEWHERE_PCT) < 0.5, what="gate moved meanwhile")
    bench.site.writes.clear()


async def scan_on(bench: Bench, scans: int = SCANS) -> None:
    began = bench.status()["scan"]
    await until(lambda: bench.status()["scan"] >= began + scans, what="scans")


def spoil(path: Path, damage: Damage, number: int) -> None:
    print(f"seed {SEED + number}: {damage.__name__} of {path.name}")
    path.write_bytes(damage(random.Random(SEED + number), path.read_bytes()))


@pytest.mark.parametrize("number", range(len(DAMAGES)))
async def test_with_its_state_damaged_a_gate_observes_alarms_and_moves_nothing_until_it_is_armed(bench: Bench, number: int) -> None:
    await make_history(bench)
    state = bench.folder / "state" / STATE_FILE
    spoil(state, DAMAGES[number], number)
    await bench.start(armed=False)
    await scan_on(bench)
    assert bench.gate()["mode"] == "OBSERVE"
    assert not bench.gate()["commissioned"]
    await bench.alarm("site: state_lost")
    assert bench.site.writes == []
    assert state.with_name(f"{STATE_FILE}.damaged").exists()
    await bench.arm()
    await until(lambda: abs((bench.gate()["opening_pct"] or 0.0) - PLAN_PCT) < 0.5, what="armed, it follows its plan")


async def test_a_state_that_is_gone_beside_its_journal_is_told_until_every_gate_is_armed_anew(bench: Bench) -> None:
    await make_history(bench)
    (bench.folder / "state" / STATE_FILE).unlink()
    await bench.start(armed=False)
    await bench.alarm("site: state_lost")
    assert bench.gate()["mode"] == "OBSERVE"
    await bench.arm()
    await bench.alarm("site: state_lost", raised=False)


async def test_a_new_site_has_lost_nothing(bench: Bench) -> None:
    await bench.start(armed=False)
    await scan_on(bench, 80)
    assert "site: state_lost" not in bench.gate()["alarms"]
    assert "not_commissioned" in bench.gate()["alarms"]


@pytest.mark.parametrize("number", range(len(DAMAGES)))
async def test_with_its_plan_damaged_a_gate_holds_and_says_so(bench: Bench, number: int) -> None:
    await make_history(bench)
    [plan] = [path for path in (bench.folder / "state").glob("*plan*") if path.is_file()]
    spoil(plan, DAMAGES[number], number)
    await bench.start(armed=False)
    await scan_on(bench)
    assert bench.site.writes == []
    assert bench.gate()["commissioned"]
    await until(lambda: any("plan" in name for name in bench.gate()["alarms"]), what="an alarm about the plan")
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=PLAN_PCT), generation=2))).ok
    await until(lambda: abs((bench.gate()["opening_pct"] or 0.0) - PLAN_PCT) < 0.5, what="a new plan is obeyed")


@pytest.mark.parametrize("number", range(len(DAMAGES)))
@pytest.mark.parametrize("name", ["gate.sqlite", "commands.jsonl"])
async def test_control_goes_on_with_its_journal_or_its_list_of_commands_damaged(bench: Bench, name: str, number: int) -> None:
    await make_history(bench)
    path = bench.folder / "state" / name
    spoil(path, DAMAGES[number], number)
    await bench.start(armed=False)
    await until(lambda: abs((bench.gate()["opening_pct"] or 0.0) - PLAN_PCT) < 0.5, what="the plan is followed")
    assert (await bench.ask("act", gate="g1", verb="mode", params={"mode": "manual"})).ok
    if name == "gate.sqlite":
        await until(lambda: has_started(bench), what="the journal is written again")
    await bench.end()
    await bench.start(armed=False)
    await until(lambda: bench.gate()["control"] == "manual", what="what was said is known")


async def has_started(bench: Bench) -> bool:
    reply = await bench.ask("journal.read", after=0, limit=1000, wait_s=0)
    return reply.ok and any(record["kind"] == "command_accepted" for record in reply.data["records"])


async def test_all_files_damaged_at_once_leave_a_gate_that_observes(bench: Bench) -> None:
    await make_history(bench)
    for number, path in enumerate(sorted(path for path in (bench.folder / "state").iterdir() if path.is_file())):
        spoil(path, garbage, number)
    await bench.start(armed=False)
    await scan_on(bench)
    await bench.alarm("site: state_lost")
    assert bench.site.writes == []
    assert bench.gate()["mode"] == "OBSERVE"
    assert (await bench.ask("status")).ok
    await asyncio.sleep(SCAN_S)
