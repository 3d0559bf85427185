"""An update waits for the water: the real gate process writes why and until when, the agent's loop keeps to it and tells it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from edge_agent.decide.hold import judge_interlock
from edge_agent.loop.interlock_file import read_hold
from edge_agent.model import Moment
from shared.clock import SystemClock
from shared.contracts.gate_plan import DeliveryOrder, PositionObjective
from shared.contracts.interlock import Interlock
from shared.contracts.release import DeliveryPolicy
from shared.contracts.status import AppPhase
from tests.builders_agent import Bench as AgentBench
from tests.builders_agent import make_release, present
from tests.fakes.fake_clock import FakeClock
from tests.fakes.gate import make_plan
from tests.integration.gate.conftest import Bench, until

ORDER_S = 12.0


class MachineClock(FakeClock):
    """The machine's own clocks, for an agent whose loop is driven by the test; `ahead_s` lets a deferral pass."""

    def __init__(self) -> None:
        super().__init__()
        self._machine = SystemClock()

    def wall(self) -> datetime:
        return self._machine.wall()

    def monotonic_s(self) -> float:
        return self._machine.monotonic_s()

    def boot_id(self) -> str:
        return self._machine.boot_id()

    async def advance(self, seconds: float) -> None:
        await self.settle()


@pytest.fixture
def agent(bench: Bench) -> Iterator[AgentBench]:
    made = AgentBench(bench.folder / "agent", clock=MachineClock(), interlock_file=bench.folder / "run" / "interlock.json")
    yield made
    made.store.close()


async def deliver(bench: Bench, duration_s: float) -> None:
    """A delivery begins now."""
    (bench.folder / "run" / "clock-was-set").write_text(SystemClock().boot_id())
    start = SystemClock().wall() + timedelta(seconds=1)
    order = DeliveryOrder(order_id="o1", turnout="g1", start=start, flow_m3s=3.0, duration_s=duration_s)
    plan = make_plan(PositionObjective(opening_pct=30.0), valid_from=start - timedelta(minutes=1)).model_copy(update={"orders": (order,)})
    assert (await bench.set_plan(plan)).ok


def interlock(bench: Bench) -> Interlock:
    return Interlock.model_validate_json((bench.folder / "run" / "interlock.json").read_text())


async def agent_passes(agent: AgentBench) -> AppPhase:
    await agent.passes(1)
    return agent.status().phase


async def test_a_release_waits_for_the_end_of_a_delivery_and_says_until_when(bench: Bench, agent: AgentBench) -> None:
    await bench.start()
    began = SystemClock().wall()
    await deliver(bench, ORDER_S)
    await until(lambda: "a delivery runs" in interlock(bench).reasons, what="the delivery in the interlock file")
    release = make_release(version="1.0.0", delivery=DeliveryPolicy(longest_deferral_s=3_600))
    agent.put(release)
    agent.want(web=present(release))
    await until(lambda: interlock(bench).reasons == ("a delivery runs",), what="the gate still, the delivery alone")
    ends = interlock(bench).until
    assert ends is not None
    assert abs((ends - began).total_seconds() - ORDER_S - 1.0) < 5.0
    assert await agent_passes(agent) is AppPhase.HELD
    assert agent.status().message.startswith("a delivery runs; until about ")
    assert agent.cluster.live == {}

    async def is_ready() -> bool:
        return await agent_passes(agent) is AppPhase.READY

    await until(is_ready, what="the release applied")
    assert SystemClock().wall() >= began + timedelta(seconds=ORDER_S)
    assert "ReleaseHeld" in agent.told()
    assert interlock(bench).until is None


async def test_a_deadline_shorter_than_the_delivery_ends_the_wait_and_is_told(bench: Bench, agent: AgentBench) -> None:
    await bench.start()
    await deliver(bench, 600.0)
    await until(lambda: "a delivery runs" in interlock(bench).reasons, what="the delivery in the interlock file")
    release = make_release(version="1.0.0", delivery=DeliveryPolicy(longest_deferral_s=3))
    agent.put(release)
    agent.want(web=present(release))
    assert await agent_passes(agent) is AppPhase.HELD

    async def is_ready() -> bool:
        return await agent_passes(agent) is AppPhase.READY

    await until(is_ready, what="the release applied")
    assert interlock(bench).hold
    codes = [event.data["cause"]["code"] for event in agent.events("ReleaseHeld")]
    assert codes == ["Held", "DeferralExpired"]


async def test_a_flood_alarm_is_waited_for_beyond_any_deadline(bench: Bench, agent: AgentBench) -> None:
    await bench.start()
    bench.canal.set_inflow("p1", 30.0)
    await until(lambda: interlock(bench).flood_alarm, what="the flood alarm")
    release = make_release(version="1.0.0", delivery=DeliveryPolicy(longest_deferral_s=1))
    agent.put(release)
    agent.want(web=present(release))
    began_s = SystemClock().monotonic_s()

    async def has_waited() -> bool:
        assert await agent_passes(agent) is AppPhase.HELD
        return SystemClock().monotonic_s() - began_s > 3.0

    await until(has_waited, what="three times the deadline")
    status = agent.status()
    assert status.cause is not None
    assert status.cause.code == "FloodAlarm"
    assert "flood alarm at gate g1: high_high" in status.message


async def test_a_gate_process_that_is_gone_holds_and_its_flood_alarm_is_not_forgotten(bench: Bench) -> None:
    await bench.start()
    path = bench.folder / "run" / "interlock.json"
    last = interlock(bench).model_copy(update={"flood_alarm": True, "hold": True, "reasons": ("flood alarm at gate g1: high_high",)})
    await bench.end()
    path.write_text(last.model_dump_json())
    clock = SystemClock()
    later = Moment(clock.boot_id(), last.monotonic_s + 3_600.0, clock.wall())
    assert judge_interlock(last, later).is_flood
    assert read_hold(path, later).reason.endswith("the gate process does not scan")
    assert read_hold(Path("/nowhere"), later).is_held
