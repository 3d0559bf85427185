"""The gate process is updated while it controls: real processes, real links, and a gate that does not notice."""

import asyncio
import subprocess
from collections.abc import AsyncIterator

import pytest

from edge_agent.gate_control.console.client import ask as ask_gate
from edge_agent.gate_control.simulation.plant import ActuatorTrouble
from edge_agent.gate_control.update.commands import change
from edge_agent.gate_control.update.look import Look
from edge_agent.gate_control.update.next_step import Record
from edge_agent.gate_control.update.places import CURRENT, PROVEN, Places
from edge_agent.gate_control.update.updater import Outcome, Ports
from shared.clock import SystemClock
from shared.contracts.gate_plan import PositionObjective
from shared.contracts.gate_socket import GateOperation, GateStatus
from shared.errors import MunbonError
from tests.fakes.gate import make_plan, signed
from tests.integration.gate.conftest import Bench, ask, until
from tests.integration.gate.small_unit import SmallUnit, install

OPENING_PCT = 40.0


class Updated:
    """A gate that stands at its position, kept there by version 1.0."""

    def __init__(self, bench: Bench, environment: dict[str, str]) -> None:
        self.bench = bench
        self.places = Places(bench.folder / "versions-of-gate")
        self.places.root.mkdir()
        install(self.places, "1.0")
        for link in (CURRENT, PROVEN):
            self.places.point(link, "1.0")
        self.told: list[str] = []
        self.environment = environment
        self.unit = self._unit()

    def _unit(self) -> SmallUnit:
        return SmallUnit(self.places, self.bench.folder, self.environment)

    async def begin(self) -> None:
        self.unit.start()
        await until(self.scans, what="process scans")
        socket = self.bench.socket
        assert (await ask(socket, "act", gate="g1", verb="arm")).ok
        assert (await ask(socket, "act", gate="g1", verb="mode", params={"mode": "auto"})).ok
        assert (await ask(socket, "plan.set", envelope=signed(make_plan(PositionObjective(opening_pct=OPENING_PCT))).decode())).ok
        await until(self.controls, what="gate at its position")

    def status(self) -> GateStatus | None:
        try:
            return GateStatus.model_validate(ask_gate(self.bench.socket, GateOperation.STATUS))
        except MunbonError:
            return None

    async def scans(self) -> bool:
        status = await asyncio.to_thread(self.status)
        return status is not None and status.scan > 1

    async def controls(self) -> bool:
        status = await asyncio.to_thread(self.status)
        if status is None:
            return False
        gate = status.gates["g1"]
        return (gate.mode, gate.opening_pct, gate.moving) == ("AUTO", OPENING_PCT, False)

    async def update(self, version: str, *, within_s: float = 10.0, wait_s: float = 60.0) -> int:
        look, clock = Look(self.bench.socket, self.bench.folder / "run" / "interlock.json"), SystemClock()
        ports = Ports(self.places, self.unit, look, clock.monotonic_s, pause, self.told.append)
        return await asyncio.to_thread(change, ports, version, within_s=within_s, wait_s=wait_s)

    async def power_comes_back(self) -> None:
        self.unit = self._unit()
        self.unit.start()

    def links(self) -> tuple[str, str]:
        return self.places.named_by(CURRENT), self.places.named_by(PROVEN)


def pause(delay_s: float) -> None:
    asyncio.run(SystemClock().sleep(delay_s))


@pytest.fixture
async def gate(bench: Bench, python_path: dict[str, str]) -> AsyncIterator[Updated]:
    made = Updated(bench, python_path)
    await made.begin()
    yield made
    await asyncio.to_thread(made.unit.stop)


async def test_the_new_version_controls_within_ten_seconds_and_nothing_moves(gate: Updated) -> None:
    install(gate.places, "1.1")
    writes, began_s = len(gate.bench.site.writes), SystemClock().monotonic_s()
    assert await gate.update("1.1") == Outcome.UPDATED
    await until(gate.controls, what="control")
    took_s = SystemClock().monotonic_s() - began_s
    print(f"gate_update_s {took_s:.1f}: {gate.told[-1]}")
    assert took_s < 10.0
    assert len(gate.bench.site.writes) == writes, "an update writes to no actuator"
    assert (gate.links(), gate.unit.starts) == (("1.1", "1.1"), ["1.0", "1.1"])


@pytest.mark.parametrize(("behaviour", "words"), [("ends", "ended by itself"), ("hangs", "does not answer after 3 s")])
async def test_a_version_that_cannot_scan_is_gone_again_and_the_old_one_controls(gate: Updated, behaviour: str, words: str) -> None:
    install(gate.places, "1.1", behaviour)
    writes, began_s = len(gate.bench.site.writes), SystemClock().monotonic_s()
    assert await gate.update("1.1", within_s=3.0) == Outcome.WENT_BACK
    await until(gate.controls, what="control")
    print(f"gate_update_went_back_s {SystemClock().monotonic_s() - began_s:.1f}")
    assert any(words in line for line in gate.told), gate.told
    assert len(gate.bench.site.writes) == writes
    assert (gate.links(), gate.places.load()) == (("1.0", "1.0"), None)
    assert gate.unit.starts[-1] == "1.0"


@pytest.mark.parametrize(("behaviour", "left"), [("good", "1.1"), ("ends", "1.0")])
async def test_the_power_goes_while_the_new_version_starts(gate: Updated, behaviour: str, left: str) -> None:
    install(gate.places, "1.1", behaviour)
    await asyncio.to_thread(gate.unit.power_cut)
    gate.places.save(Record("1.1", "1.0"))
    gate.places.point(CURRENT, "1.1")
    await gate.power_comes_back()
    await until(lambda: gate.links() == (left, left) and gate.places.load() is None, what=f"version {left} proven")
    await until(gate.controls, what="control")
    assert gate.unit.starts[0] == "1.1"
    assert gate.unit.starts.count("1.1") == 1


async def test_while_a_gate_moves_the_process_is_left_alone(gate: Updated) -> None:
    install(gate.places, "1.1")
    actuator = gate.bench.canal.actuators["g1"]
    actuator.set_trouble(ActuatorTrouble.SLOW, on=True)
    actuator.move_by_hand(90.0)

    async def moves() -> bool:
        status = await asyncio.to_thread(gate.status)
        return status is not None and status.gates["g1"].moving

    await until(moves, what="motion seen")
    assert await gate.update("1.1", wait_s=0.5) == Outcome.HELD
    assert gate.told[0] == "waiting: gate g1 is moving"
    assert gate.unit.starts == ["1.0"]
    moving: list[bool] = []
    restart = gate.unit.restart
    gate.unit.restart = lambda: (moving.append(actuator.moving), restart())[1]  # type: ignore[method-assign, func-returns-value]
    assert await gate.update("1.1") == Outcome.UPDATED
    assert moving == [False]


async def test_the_command_names_what_is_wrong_before_anything_is_touched(gate: Updated) -> None:
    install(gate.places, "1.1")
    gate.places.program("1.1").write_text("#!/bin/sh\necho 'this site.yaml is too new for me' >&2\nexit 2\n")
    places, config = str(gate.places.root), str(gate.bench.folder / "site.yaml")

    async def run(*words: str) -> tuple[int, str]:
        command = [str(gate.places.program("1.0")), "update", *words, "--root", places, "--config", config]
        done = await asyncio.to_thread(subprocess.run, command, env=gate.environment, capture_output=True, text=True, timeout=60)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    code, said = await run("1.1")
    assert (code, "nothing was touched" in said, "too new for me" in said) == (2, True, True)
    code, said = await run("7.7")
    assert (code, "installed: 1.0, 1.1" in said) == (2, True)
    code, said = await run()
    assert (code, said.split()[:4]) == (0, ["current", "1.0", "proven", "1.0"])
    assert gate.unit.starts == ["1.0"]
