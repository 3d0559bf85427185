"""A gate process that is killed at random moments while people, plans and faults keep it busy, and who watches it: the devices themselves.

What the devices were read and written, and where the gates stood, is noted on the devices' side; no word of the gate is taken for it.
"""

import asyncio
import contextlib
import functools
import json
import random
import signal
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from pymodbus.constants import ExcCodes

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.simulation.device_faults import PointFault
from edge_agent.gate_control.simulation.devices import SimulatedDevices
from edge_agent.gate_control.simulation.example import site_yaml
from edge_agent.gate_control.simulation.integrator_delay import canal_of
from edge_agent.gate_control.simulation.plant import PlantCommand, Position
from shared.clock import SystemClock
from shared.contracts.gate_command import GateCommand, GateVerb
from shared.contracts.gate_plan import DeliveryOrder, GateDirective, GatePlan, PositionObjective
from shared.contracts.gate_socket import GateReply
from shared.signing.dsse import sign_document
from tests.fakes.gate import OWNER, signed, write_trust_root
from tests.integration.gate.alarm_watch import LOCAL_PLAN, OUT_OF_RANGE, STALE, STOPPED, AlarmWatch, Trouble
from tests.integration.gate.conftest import ask as ask_socket
from tests.integration.gate.conftest import free_port, until
from tests.integration.gate.test_process import GateProcess

SPEED, SCAN_S = 50.0, 0.1
HAND, TURNOUT = "g1", "g2"
"""People move the one, orders the other."""
ORDER_S, ORDER_EVERY_S, ORDER_M3S = 10.0, 22.0, 2.0
# longer than a process is away, with pauses that are longer too: the turnout is seen to open and to shut for each
SHUT_PCT = 5.0
TOLERANCE_PCT = 0.5


@dataclass(frozen=True)
class Access:
    """One request that reached a device."""

    at_s: float
    device: str
    is_write: bool


@dataclass(frozen=True)
class Written:
    """One command that reached an actuator."""

    at_s: float
    gate: str
    command: PlantCommand

    @property
    def opening_pct(self) -> float | None:
        return self.command.opening_pct if isinstance(self.command, Position) else None


class WatchedDevices(SimulatedDevices):
    """Devices that note what was asked of them, and when."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.accesses: list[Access] = []
        self.log: list[Written] = []

    def _access(
        self, device: str, table: str, start: int, address: int, count: int, registers: list[int], values: list[int] | list[bool] | None
    ) -> ExcCodes | None:
        self.accesses.append(Access(time.monotonic(), device, values is not None))
        return super()._access(device, table, start, address, count, registers, values)

    def _send(self, gate: str, command: PlantCommand) -> None:
        self.log.append(Written(time.monotonic(), gate, command))
        super()._send(gate, command)


def wide_site(gates: tuple[str, ...], port: int) -> dict[str, Any]:
    """So wide a canal that no level comes near an interlock, whatever the gates do; alarms come and go at once."""
    text = site_yaml(site="north", state_dir="state", run_dir="run", port=port, speed=SPEED, scan_period_s=SCAN_S, gates=gates)
    content: dict[str, Any] = yaml.safe_load(text)
    for pool in content["pools"]:
        for end in ("low", "high"):
            pool[end] = {**pool[end], "area_m2": pool[end]["area_m2"] * 1_000.0}
    for structure in content["structures"]:
        # in one step, so that an opening that was written tells who asked for it
        structure["gates"][0]["limits"]["max_step_pct"] = 100.0
        structure["flow_loop"] = {"control_period_s": 4 * SCAN_S}
    for point in content["points"]:
        if point["unit"] == "m":
            point["stale_after_s"] = 1.0
    at_once = ("sensor_out_of_range", "sensor_stale", "stopped", "local_plan_invalid")
    return content | {"alarms": [{"name": name, "on_delay_s": 0.0, "off_delay_s": 0.0} for name in at_once]}


@dataclass
class Tagged:
    """A time for which a tag certainly hung."""

    from_s: float
    until_s: float | None = None


@dataclass
class Trial:
    """One site, its process, and what its people know for certain: what was answered."""

    folder: Path
    random: random.Random
    environment: dict[str, str]
    tags: list[Tagged] = field(default_factory=list)
    moves: dict[float, GateReply | None] = field(default_factory=dict)
    """By opening, each asked for once; None: the answer was lost."""
    control: str = ""
    """Last mode that was answered; empty while it is not known."""
    deaths: list[tuple[float, float]] = field(default_factory=list)
    """From the end of a process to the start of the next."""
    deaths_at: list[datetime] = field(default_factory=list)
    orders: tuple[DeliveryOrder, ...] = ()
    generation: int = 0

    def __post_init__(self) -> None:
        content = wide_site((HAND, TURNOUT), free_port())
        site = SiteConfiguration.model_validate(content)
        # the canal's own time: it runs SPEED times as fast as the gate's
        dynamics = [{"area_m2": SPEED * pool["low"]["area_m2"]} for pool in content["pools"]]
        pools = [
            pool | {"low": pool["low"] | one, "high": pool["high"] | one} for pool, one in zip(content["pools"], dynamics, strict=True)
        ]
        self.canal = canal_of(SiteConfiguration.model_validate(content | {"pools": pools}))
        self.devices = WatchedDevices(site, self.canal, SystemClock(), speed=SPEED)
        (self.folder / "site.yaml").write_text(json.dumps(content))
        (self.folder / "run").mkdir()
        (self.folder / "run" / "clock-was-set").write_text(SystemClock().boot_id())
        write_trust_root(self.folder / "gate-trust-root.json")
        self.process = GateProcess(self.folder, self.environment)
        self.alarms = AlarmWatch(self, self.random, self.troubles())

    def troubles(self) -> list[Trouble]:
        """A sensor that gives no number, one that tells nothing new, a person who stops a gate, a plan file that nobody can read."""

        def point(alarm: str, fault: PointFault) -> Trouble:
            async def switch(*, on: bool) -> bool:
                self.devices.set_fault("g1-level", fault, on=on)
                return True

            return Trouble(alarm, functools.partial(switch, on=True), functools.partial(switch, on=False))

        async def stop() -> bool:
            self.control = ""
            return (await self.ask("act", gate=HAND, verb="stop")).ok

        async def give_back() -> bool:
            self.control = ""
            return (await self.ask("act", gate=HAND, verb="mode", params={"mode": "manual"})).ok

        async def spoil() -> bool:
            (self.folder / "gate-plan.local.json").write_text("{")
            return True

        async def remove() -> bool:
            (self.folder / "gate-plan.local.json").unlink(missing_ok=True)
            return True

        return [
            point(OUT_OF_RANGE, PointFault.NAN),
            point(STALE, PointFault.STALE),
            Trouble(STOPPED, stop, give_back),
            Trouble(LOCAL_PLAN, spoil, remove),
        ]

    async def begin(self, orders_for_s: float) -> None:
        """Everything in place: armed, in auto, a plan in force, with orders one after the other."""
        await self.devices.start()
        await self.process.start()
        for gate in (HAND, TURNOUT):
            if not (await self.process.status())["gates"][gate]["commissioned"]:
                assert (await self.ask("act", gate=gate, verb="arm")).ok
            assert (await self.ask("act", gate=gate, verb="mode", params={"mode": "auto"})).ok
            assert (await self.ask("act", gate=gate, verb="owner_release")).ok
        wall = SystemClock().wall()
        starts = [wall + timedelta(seconds=15.0 + ORDER_EVERY_S * index) for index in range(max(2, int(orders_for_s / ORDER_EVERY_S)))]
        self.orders = tuple(
            DeliveryOrder(
                order_id=f"o{index}", turnout=TURNOUT, start=start, flow_m3s=ORDER_M3S, duration_s=ORDER_S, if_missed="start_late"
            )
            for index, start in enumerate(starts)
        )
        await self.set_plan()

    async def ask(self, operation: str, **params: Any) -> GateReply:
        return await ask_socket(self.process.socket, operation, **params)

    async def set_plan(self) -> None:
        """A new generation: another opening for the gate in auto, the orders as they are."""
        self.generation += 1
        directive = GateDirective(objective=PositionObjective(opening_pct=round(self.random.uniform(84.0, 94.0), 1)))
        plan = GatePlan(
            site="north",
            generation=self.generation,
            valid_from=SystemClock().wall(),
            author="tests",
            gates={HAND: directive},
            orders=self.orders,
        )
        await self.ask("plan.set", envelope=json.loads(signed(plan)))

    async def move(self) -> None:
        """From afar, signed, to an opening that nobody else asks for."""
        opening_pct = round(20.0 + 0.1 * (int(self.random.uniform(0, 40)) + 0.0) + 0.1 * 7 * len(self.moves) % 60, 1)
        if opening_pct in self.moves:
            return
        now = SystemClock().wall()
        command = GateCommand(
            id=f"command-{uuid.UUID(int=self.random.getrandbits(128)).hex}", site="north", gate=HAND, verb=GateVerb.MOVE,
            params={"opening_pct": opening_pct}, issued_at=now, expires_at=now + timedelta(seconds=600),
        )  # fmt: skip
        envelope = json.loads(sign_document(command, [OWNER]))
        self.moves[opening_pct], self.control = None, ""
        self.alarms.forget_stop()
        self.moves[opening_pct] = await self.ask("command.run", envelope=envelope)
        # carried again, as a bus does that heard no answer
        again = await self.ask("command.run", envelope=envelope)
        assert again.data.get("repeated", True), again

    async def change_mode(self) -> None:
        mode = self.random.choice(["auto", "auto", "manual"])
        self.control = ""
        self.alarms.forget_stop()
        if (await self.ask("act", gate=HAND, verb="mode", params={"mode": mode})).ok:
            self.control = mode

    async def tag(self) -> None:
        """Hang a tag, or take it off in two steps."""
        if not self.tags or self.tags[-1].until_s is not None:
            self.control = ""  # a tag makes it manual
            if (await self.ask("act", gate=HAND, verb="tag", note="diver")).ok:
                self.tags.append(Tagged(time.monotonic()))
            return
        first = await self.ask("act", gate=HAND, verb="tag_clear")
        if first.ok:
            self.tags[-1].until_s, self.control = time.monotonic(), ""
            await self.ask("act", gate=HAND, verb="tag_confirm", code=first.data["data"]["code"])

    async def alarm_table(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in (await self.process.status())["alarm_table"]}

    async def work(self) -> None:
        """What people do, one thing after the other, until the process dies under it."""
        watch = self.alarms
        deeds = [self.move, self.move, self.change_mode, self.set_plan, self.tag, watch.disturb, watch.disturb, watch.acknowledge]
        with contextlib.suppress(OSError, ValueError, KeyError, asyncio.IncompleteReadError, TimeoutError):
            while True:
                await self.random.choice(deeds)()

    async def die(self) -> None:
        """Killed at a random moment of all this."""
        busy = asyncio.create_task(self.work())
        try:
            await asyncio.sleep(self.random.uniform(0.05, 2.0))
            await self.process.end(signal.SIGKILL)
            killed_s, killed_at = time.monotonic(), SystemClock().wall()
        finally:
            busy.cancel()
            await asyncio.gather(busy, return_exceptions=True)
        await self.check_motion_ends()
        self.deaths.append((killed_s, time.monotonic()))
        self.deaths_at.append(killed_at)
        await self.process.start()
        await self.check_what_was_said()
        await self.alarms.check_after_restart(killed_s)

    async def check_motion_ends(self) -> None:
        """Nothing in software acts any more: each gate goes where it was last told, and stays."""
        last: dict[str, Written] = {}
        for written in self.devices.log:
            last[written.gate] = written
        for gate, written in last.items():
            if written.opening_pct is not None:
                await until(
                    functools.partial(self.is_at, gate, written.opening_pct), within_s=20.0, what=f"gate {gate} at its last setpoint"
                )
            assert 0.0 <= self.canal.actuators[gate].position_pct <= 100.0

    def is_at(self, gate: str, opening_pct: float) -> bool:
        return abs(self.canal.actuators[gate].position_pct - opening_pct) <= TOLERANCE_PCT

    async def check_what_was_said(self) -> None:
        """What was answered to people outlives the process."""
        now = (await self.process.status())["gates"][HAND]
        if self.tags and self.tags[-1].until_s is None:
            assert "diver" in now["tagout"], now
        if self.control:
            assert now["control"] == self.control, (now, self.control)
        assert now["commissioned"]

    async def journal(self) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = []
        while page := (await self.ask("journal.read", after=len(records), limit=500, wait_s=0)).data["records"]:
            records += page
        return records

    def saved_orders(self) -> dict[str, Any]:
        """Accounts as they are on the disk."""
        found: dict[str, Any] = json.loads((self.folder / "state" / "gate-state.json").read_text().splitlines()[0])["state"]["orders"][
            "accounts"
        ]
        return found
