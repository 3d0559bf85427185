"""The agent sees that the gate process lives, dies, or never comes up: over the real socket, with real processes."""

import secrets
import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from edge_agent.command.gate_client import GateClient
from edge_agent.gate_control.update.places import CURRENT, PROVEN, Places
from edge_agent.report.gate_guard import GateGuard
from edge_agent.report.gate_watch import GateWatch
from edge_agent.store.state import StateStore
from shared.clock import SystemClock
from shared.contracts.event import Event
from tests.integration.gate.conftest import Bench, until
from tests.integration.gate.small_unit import SmallUnit, install
from tests.integration.gate.test_process import GateProcess


class AheadClock(SystemClock):
    """The machine's clock, which a test puts ahead."""

    ahead_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_s


class Watcher:
    """The part of the agent that looks at the gate."""

    def __init__(self, bench: Bench) -> None:
        self.clock = AheadClock()
        self.store = StateStore.open(bench.folder / "agent", "pi-north", self.clock, lambda: secrets.token_hex(16))
        client = GateClient(bench.socket, lambda: secrets.token_hex(8))
        self.watch = GateWatch(client, self.clock, lambda: None, GateGuard(self.store, self.clock))

    async def stands(self) -> list[str]:
        """Whose condition is there; one that nobody has seen stays in the table after it."""
        await self.watch.look()
        return [alarm.key for alarm in self.watch.site.alarms if alarm.key.startswith("site/") and alarm.state != "returned"]

    def told(self) -> list[tuple[str, str]]:
        rows = sorted(self.store.outbox.window(1_000), key=lambda row: row.sequence)
        events = [Event.model_validate_json(row.body) for row in rows]
        return [(event.event_type.value, event.data["alarm"]) for event in events if event.event_type is not None]


@pytest.fixture
def watcher(bench: Bench) -> Iterator[Watcher]:
    made = Watcher(bench)
    yield made
    made.store.close()


@pytest.fixture
async def gate(bench: Bench, python_path: dict[str, str]) -> AsyncIterator[GateProcess]:
    made = GateProcess(bench.folder, python_path)
    await made.start()
    yield made
    await made.end(signal.SIGKILL)


async def test_a_killed_process_is_an_alarm_and_its_return_the_end_of_it(gate: GateProcess, watcher: Watcher) -> None:
    assert "site/not_scanning" not in await watcher.stands()
    await gate.end(signal.SIGKILL)
    assert "site/not_scanning" not in await watcher.stands(), "a restart is no alarm"
    watcher.clock.ahead_s = 20.0
    assert "site/not_scanning" in await watcher.stands()
    assert "does not answer" in watcher.watch.problem
    await gate.start()

    async def is_over() -> bool:
        return "site/not_scanning" not in await watcher.stands()

    await until(is_over, what="the alarm returned")
    assert watcher.told() == [("GateAlarmRaised", "not_scanning"), ("GateAlarmReturned", "not_scanning")]


async def test_a_process_that_hangs_keeps_its_socket_and_is_an_alarm_all_the_same(gate: GateProcess, watcher: Watcher) -> None:
    await watcher.stands()
    gate.process.send_signal(signal.SIGSTOP)
    try:
        watcher.clock.ahead_s = 20.0
        assert "site/not_scanning" in await watcher.stands()
    finally:
        gate.process.send_signal(signal.SIGCONT)


async def test_a_process_that_cannot_start_is_tried_for_ever_and_nothing_moves(
    bench: Bench, watcher: Watcher, python_path: dict[str, str]
) -> None:
    places = Places(bench.folder / "versions-of-gate")
    places.root.mkdir()
    install(places, "1.0", "ends")
    for link in (CURRENT, PROVEN):
        places.point(link, "1.0")
    unit = SmallUnit(places, bench.folder, python_path)
    unit.start()
    try:
        await until(lambda: len(unit.starts) >= 4, what="four tries")
        watcher.clock.ahead_s = 20.0
        assert await watcher.stands() == ["site/not_scanning"]
        assert bench.site.writes == []
        install(places, "1.1")
        places.point(CURRENT, "1.1")

        async def is_over() -> bool:
            return "site/not_scanning" not in await watcher.stands()

        await until(is_over, what="the site is back once its version is")
    finally:
        unit.stop()
