"""The plan book against a model of it: whatever plans come, by whom and in whatever order, each is obeyed whole or refused whole."""

import asyncio
import json
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.gate_control.console.plans import PlanBook
from edge_agent.gate_control.decide.limits import level_limits, own_limits, travel_limits
from edge_agent.gate_control.simulation.example import example_site
from shared.contracts.gate_plan import (
    DeliveryOrder,
    DownstreamLevelObjective,
    FlowObjective,
    GateDirective,
    GateLimits,
    GatePlan,
    Objective,
    PositionObjective,
    ScheduleEntry,
    UpstreamLevelObjective,
)
from shared.errors import MunbonError, OutOfOrder
from tests.fakes.gate import OWNER, START, STRANGER, now_at, signed, write_trust_root

SITE = example_site(("g1", "g2"))
NOW = now_at(0.0)
POOLS = {structure.id: SITE.pool_above(structure.id) for structure in SITE.structures}


def none_or(values: st.SearchStrategy[float]) -> st.SearchStrategy[float | None]:
    return st.none() | values


percents = st.floats(0.0, 100.0)
heights = st.floats(-500.0, 9_000.0) | st.floats(1.0, 6.0)
objectives: st.SearchStrategy[Objective] = st.one_of(
    st.builds(PositionObjective, opening_pct=percents),
    st.builds(UpstreamLevelObjective, level_m=heights),
    st.builds(DownstreamLevelObjective, level_m=heights),
    st.builds(FlowObjective, flow_m3s=st.floats(0.0, 10_000.0) | st.floats(0.0, 8.0)),
)
limits = st.just(GateLimits()) | st.builds(
    GateLimits,
    opening_min_pct=none_or(percents),
    opening_max_pct=none_or(percents),
    level_min_m=none_or(heights),
    level_max_m=none_or(heights),
)
times = st.integers(-10_000, 10_000_000).map(lambda seconds: START + timedelta(seconds=seconds))
directives = st.builds(
    GateDirective,
    objective=objectives,
    schedule=st.lists(st.builds(ScheduleEntry, at=times, objective=objectives), max_size=3),
    limits=limits,
)
orders = st.builds(
    DeliveryOrder,
    order_id=st.sampled_from(["o1", "o2"]),
    turnout=st.sampled_from(["g1", "g2", "g9"]),
    start=times,
    flow_m3s=st.floats(0.01, 10_000.0) | st.floats(0.01, 4.0),
    duration_s=st.floats(1.0, 86_400.0),
)
wild_plans = st.builds(
    GatePlan,
    site=st.sampled_from(["north", "north", "north", "south"]),
    generation=st.integers(1, 5),
    valid_from=st.just(START) | times,
    gates=st.dictionaries(st.sampled_from(["g1", "g1", "g2", "g9"]), directives, min_size=1, max_size=2),
    orders=st.just(()) | st.lists(orders, max_size=2).map(tuple),
)
modest = st.builds(PositionObjective, opening_pct=st.floats(5.0, 95.0)) | st.builds(FlowObjective, flow_m3s=st.floats(0.0, 8.0))
modest_plans = st.builds(
    GatePlan,
    site=st.just("north"),
    generation=st.integers(1, 5),
    valid_from=st.just(START),
    gates=st.dictionaries(st.sampled_from(["g1", "g2"]), st.builds(GateDirective, objective=modest), min_size=1),
)
plans = wild_plans | modest_plans
deeds = st.one_of(
    st.tuples(st.just("set"), plans),
    st.tuples(st.just("set"), modest_plans),
    st.tuples(st.just("forge"), modest_plans),
    st.tuples(st.just("local"), plans),
    st.tuples(st.sampled_from(["again", "release", "restart", "load"]), st.none()),
)


def breaches(plan: GatePlan) -> list[str]:
    """What of a plan lies beyond the site's own limits, worked out from the site alone."""
    found = [] if plan.site == SITE.site else ["site"]
    for name, directive in plan.gates.items():
        gate, pool = SITE.gate(name), POOLS.get(name)
        if gate is None or pool is None:
            return [*found, f"{name} is not here"]
        low, high = gate.limits.opening_min_pct, gate.limits.opening_max_pct
        asked = directive.limits
        if (asked.opening_min_pct is not None and asked.opening_min_pct < low) or (
            asked.opening_max_pct is not None and asked.opening_max_pct > high
        ):
            found.append(f"{name} travel")
        for objective in (directive.objective, *(entry.objective for entry in directive.schedule)):
            match objective:
                case PositionObjective(opening_pct=opening_pct):
                    found += [] if low <= opening_pct <= high else [f"{name} opening"]
                case UpstreamLevelObjective(level_m=level_m):
                    found += [] if pool.level_min_m <= level_m <= pool.level_max_m else [f"{name} level"]
                case FlowObjective(flow_m3s=flow_m3s):
                    structure = SITE.structure(name)
                    found += [] if structure is not None and flow_m3s <= structure.capacity_m3s else [f"{name} flow"]
                case DownstreamLevelObjective():
                    found.append(f"{name} has no such loop")
    for order in plan.orders:
        turnout = SITE.structure(order.turnout)
        found += [] if turnout is not None and order.flow_m3s <= turnout.capacity_m3s else [f"order at {order.turnout}"]
    return found


class Book:
    """A plan book on a disk of its own, and what a person would expect of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.book = self.opened()
        self.remote: GatePlan | None = None
        self.local: GatePlan | None = None
        self.last: bytes = b""

    def opened(self) -> PlanBook:
        async def inline(work: Callable[[], Any]) -> Any:
            return work()

        return PlanBook(SITE, self.folder, on_disk=inline, saving=inline, now=lambda: NOW, record=lambda _kind, _data: None)

    async def do(self, verb: str, plan: GatePlan | None) -> None:
        before = (self.book.remote_generation(), self.book.in_force())
        refused = ""
        try:
            await self.carry_out(verb, plan)
        except MunbonError as error:
            refused = str(error)
        if refused:
            assert (self.book.remote_generation(), self.book.in_force()) == before, f"refused, and yet something changed: {refused}"

    async def carry_out(self, verb: str, plan: GatePlan | None) -> None:
        if verb == "set" and plan is not None:
            envelope = signed(plan)
            floor = self.remote.generation if self.remote is not None else 0
            is_same = self.remote is not None and plan.to_json() == self.remote.to_json()
            await self.book.set(envelope)
            assert plan.generation > floor or is_same, "an old generation was taken"
            self.remote, self.last = plan, envelope
        elif verb == "forge" and plan is not None:
            await self.book.set(signed(plan, STRANGER))
            raise AssertionError("a stranger's plan was taken")
        elif verb == "again" and self.last:
            await self.book.set(self.last)
        elif verb == "local" and plan is not None:
            await self.book.set_local(json.dumps(plan.to_json()).encode(), "ana")
            self.local = plan.model_copy(update={"author": "ana"})
        elif verb == "release":
            await self.book.release_local("ana")
            self.local = None
        elif verb == "restart":
            self.book = self.opened()
            await self.book.load()
        elif verb == "load":
            await self.book.load()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(deeds, min_size=1, max_size=12))
def test_every_plan_is_obeyed_whole_or_refused_whole_and_what_the_site_made_stands_above(story: list[tuple[str, GatePlan | None]]) -> None:
    async def play() -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "state").mkdir()
            write_trust_root(folder / "gate-trust-root.json")
            book = Book(folder)
            await book.book.load()
            for verb, plan in story:
                await book.do(verb, plan)
                expected = book.local if book.local is not None else book.remote
                found = book.book.in_force()
                assert (found.to_json() if found is not None else None) == (expected.to_json() if expected is not None else None), verb
                assert found is None or not breaches(found)
                assert book.book.remote_generation() == (book.remote.generation if book.remote is not None else 0)

    asyncio.run(play())


@given(directive=directives)
def test_no_field_of_a_plan_widens_what_the_site_allows_checked_or_not(directive: GateDirective) -> None:
    for gate in SITE.gates():
        own, narrowed = own_limits(gate), travel_limits(gate, directive)
        assert own.low_pct <= narrowed.low_pct <= narrowed.high_pct <= own.high_pct
        pool = POOLS[gate.id]
        assert pool is not None
        levels = level_limits(pool, directive)
        assert pool.level_min_m <= levels.low_m < levels.high_m <= pool.level_max_m


def test_some_of_the_wild_plans_are_good() -> None:
    # or the property above would be about refusals alone
    start: datetime = START
    plan = GatePlan(
        site="north", generation=1, valid_from=start, gates={"g1": GateDirective(objective=PositionObjective(opening_pct=50.0))}
    )
    assert not breaches(plan)
    assert signed(plan, OWNER)


class SlowStart:
    """A disk that gives the saved plan late: what is asked meanwhile is carried out first."""

    def __init__(self, folder: Path) -> None:
        self.gate = asyncio.Event()
        self.first = True
        self.book = PlanBook(SITE, folder, on_disk=self.on_disk, saving=self.inline, now=lambda: NOW, record=lambda _kind, _data: None)

    async def inline(self, work: Callable[[], Any]) -> Any:
        return work()

    async def on_disk(self, work: Callable[[], Any]) -> Any:
        if self.first:
            self.first = False
            await self.gate.wait()
        return work()


def numbered(generation: int) -> GatePlan:
    return GatePlan(
        site="north", generation=generation, valid_from=START, gates={"g1": GateDirective(objective=PositionObjective(opening_pct=50.0))}
    )


async def test_a_replay_is_refused_also_before_a_slow_disk_has_given_the_saved_plan(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    write_trust_root(tmp_path / "gate-trust-root.json")
    before = Book(tmp_path)
    await before.book.set(signed(numbered(5)))
    slow = SlowStart(tmp_path)
    loading = asyncio.create_task(slow.book.load())
    await asyncio.sleep(0)
    with pytest.raises(OutOfOrder, match="generation 3 is not newer than 5"):
        await slow.book.set(signed(numbered(3)))
    slow.gate.set()
    await loading
    assert slow.book.remote_generation() == 5


async def test_a_newer_plan_that_came_before_the_saved_one_was_read_stays_and_so_does_its_generation(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    write_trust_root(tmp_path / "gate-trust-root.json")
    await Book(tmp_path).book.set(signed(numbered(5)))
    slow = SlowStart(tmp_path)
    loading = asyncio.create_task(slow.book.load())
    await asyncio.sleep(0)
    await slow.book.set(signed(numbered(7)))
    slow.gate.set()
    await loading
    assert slow.book.remote_generation() == 7
    with pytest.raises(OutOfOrder, match="generation 6 is not newer than 7"):
        await slow.book.set(signed(numbered(6)))
