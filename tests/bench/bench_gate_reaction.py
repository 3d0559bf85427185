"""How soon a gate process acts on what it read: timed by the devices, from the sample that they gave to the command that they got."""

import asyncio
from statistics import median

from deploy.harness.world import NodePlan, throw_away_world
from shared.contracts.gate_plan import GateDirective, GatePlan, PositionObjective
from tests.bench.bench_agent import releases_all_the_time
from tests.bench.fleet import add_lean_node, best_real_cluster
from tests.bench.gate_site import RunningSite, site_with_gate
from tests.bench.result import Result
from tests.fakes.gate import START

NAMES = ("gate_sensor_to_command_p99_ms",)
GATES = tuple(f"g{number}" for number in range(1, 17))
PLANS = 8
BETWEEN_S = 14.0
"""Longer than the motor's rest and a step of its travel."""
FIRST_PCT, STEP_PCT = 30.0, 6.0
OBJECTS = 100


async def run(wanted: frozenset[str]) -> list[Result]:
    """From the moment at which a device gave a gate's level to the moment at which the command for that gate reached its device.

    A site of 16 gates on real Modbus TCP, a process with what a Pi installs and with the priority of its unit, one scan a second, while
    an agent on the same machine applies one release of 103 objects after the other. Eight plans, each of which moves all sixteen gates in
    one scan: 128 commands. All gates share one line, and the scan reads all of them before it decides: each waits for a whole round.
    """
    kind = best_real_cluster()
    async with throw_away_world() as world:
        await add_lean_node(world, "pi-north", NodePlan(kind, heartbeat_s=30.0, resync_s=300.0))
        async with site_with_gate(GATES) as site, releases_all_the_time(world) as applied:
            await play_plans(site)
            took_ms = sorted(site.devices.reactions_ms)
    assert len(took_ms) >= PLANS * len(GATES) // 2, f"{len(took_ms)} commands reached the devices"
    assert applied, "no release was applied meanwhile"
    params = {
        "goal": 50,
        "p50": round(median(took_ms), 1),
        "worst": round(took_ms[-1], 1),
        "commands": len(took_ms),
        "gates": len(GATES),
        "releases": len(applied),
        "objects": OBJECTS + 3,
        "cluster": kind,
        "environment": site.environment,
        "nice": site.nice,
    }
    return [Result(NAMES[0], round(took_ms[int(0.99 * (len(took_ms) - 1))], 1), "ms", "lower", params)]


async def play_plans(site: RunningSite) -> None:
    """Plans that each move all gates."""
    for generation in range(1, PLANS + 1):
        opening_pct = FIRST_PCT + STEP_PCT * (generation % 2)
        directives = {gate: GateDirective(objective=PositionObjective(opening_pct=opening_pct)) for gate in GATES}
        await site.set_plan(GatePlan(site="north", generation=generation, valid_from=START, author="bench", gates=directives))
        await asyncio.sleep(BETWEEN_S)
