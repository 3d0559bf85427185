"""A desk with a scan of its own behind it: the modes of two gates, changed by the pure function that the real scan calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from edge_agent.gate_control.console.callers import Caller
from edge_agent.gate_control.console.command_book import CommandBook
from edge_agent.gate_control.console.desk import Desk, Pending
from edge_agent.gate_control.decide.alarms import AlarmChange, AlarmRules, rules_of
from edge_agent.gate_control.decide.instructions import Instruction, carry_out_each
from edge_agent.gate_control.decide.modes import Commissioning, Control, GateModes, Role
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.loop.instructed import Carried
from edge_agent.gate_control.model.values import Now, Selector
from shared.contracts.gate_command import GateCommand, GateVerb
from shared.contracts.gate_socket import JournalKind
from shared.errors import MunbonError
from shared.signing.dsse import sign_document
from shared.signing.keys import Signer
from tests.fakes.fake_clock import FakeClock
from tests.fakes.gate import OWNER, write_trust_root

MAINTAINER = Caller(1000, "som", Role.MAINTAINER)
OPERATOR = Caller(1001, "malee", Role.OPERATOR)
VIEWER = Caller(1002, "kiet", Role.VIEWER)
RUNNING = GateModes(selector=Selector.REMOTE, control=Control.AUTO, commissioning=Commissioning.COMMISSIONED)


@dataclass(frozen=True)
class CarriedOut(Carried):
    """With the site after what was asked, for those who decide nothing."""

    state: SiteState = field(default_factory=SiteState)
    alarm_changes: tuple[AlarmChange, ...] = ()


def carry_out_all(state: SiteState, asked: Sequence[Pending], rules: AlarmRules, now: Now) -> CarriedOut:
    """What a scan does with what was asked, before it decides."""
    state, changes, outcomes = carry_out_each(state, [one.instruction for one in asked], rules, now)
    return CarriedOut(tuple(zip(asked, outcomes, strict=True)), state, changes)


class Disk:
    """Runs work at once; `is_hung` never ends it, `error` fails it."""

    def __init__(self) -> None:
        self.is_hung = False
        self.error: OSError | None = None
        self._never = asyncio.Event()

    async def run(self, work: Callable[[], Any]) -> Any:
        if self.is_hung:
            await self._never.wait()
        if self.error is not None:
            raise self.error
        return work()


@dataclass
class DeskBench:
    """One gate process's life; `restart` begins another over the same disk."""

    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    disk: Disk = field(default_factory=Disk)
    trust_disk: Disk = field(default_factory=Disk)
    state: SiteState = field(default_factory=lambda: SiteState(modes={"g1": RUNNING, "g2": RUNNING}))
    records: list[tuple[JournalKind, str, dict[str, Any]]] = field(default_factory=list)
    acted: list[Instruction] = field(default_factory=list)
    local_plan: bool = False
    scans: bool = True
    _task: asyncio.Task[None] | None = None
    _ids: int = 0

    async def start(self, *, opened: bool = True) -> None:
        write_trust_root(self.folder / "gate-trust-root.json")
        self.book = CommandBook(self.folder / "commands.jsonl", self.disk.run)
        self.desk = Desk(
            "north",
            tuple(self.modes),
            self.folder / "gate-trust-root.json",
            self.book,
            reading=self.trust_disk.run,
            now=self.now,
            record=lambda kind, gate, data: self.records.append((kind, gate, data)),
            release_plan=self._release,
            new_code=lambda: "271828",
            durable=self._settled,
            noted=self._settled,
        )
        if opened:
            await self.book.open(self.clock)
        self._task = asyncio.create_task(self._scan())

    @property
    def modes(self) -> Mapping[str, GateModes]:
        return self.state.modes

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            if not self.disk.is_hung:
                await self.book.settle(1.0)

    async def restart(self, *, opened: bool = True) -> None:
        await self.stop()
        await self.start(opened=opened)

    def now(self) -> Now:
        return Now(self.clock.monotonic_s(), self.clock.wall(), self.clock.is_synchronised())

    def command(self, verb: GateVerb = GateVerb.MOVE, *, signer: Signer = OWNER, **changes: Any) -> bytes:
        self._ids += 1
        params = {GateVerb.MOVE: {"opening_pct": 40.0}, GateVerb.MODE: {"mode": "auto"}}.get(verb, {})
        content = {
            "id": f"command-{self._ids:016}",
            "site": "north",
            "gate": "g1",
            "verb": verb,
            "params": params,
            "issued_at": self.clock.wall(),
            "expires_at": self.clock.wall() + timedelta(seconds=60),
            "author": "office",
        }
        return sign_document(GateCommand.model_validate(content | changes), [signer])

    async def refused(self, envelope: bytes) -> str:
        """Code of the refusal; a command that was carried out fails the test."""
        try:
            view = await self.desk.run_signed(envelope)
        except MunbonError as error:
            return str(getattr(error, "code", "Failed"))
        assert not view.accepted, view
        return view.code

    def written(self) -> list[dict[str, Any]]:
        path = self.folder / "commands.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    async def _settled(self, _within_s: float) -> bool:
        return not self.disk.is_hung

    async def _release(self, _author: str) -> str:
        self.local_plan = False
        return "plan 3 of central is in force"

    async def _scan(self) -> None:
        while True:
            await self.desk.arrived.wait()
            if not self.scans:
                self.desk.arrived.clear()
                continue
            asked = self.desk.take()
            self.acted += [pending.instruction for pending in asked]
            carried = carry_out_all(self.state, asked, rules_of(()), self.now())
            self.state = carried.state
            carried.answer({})
