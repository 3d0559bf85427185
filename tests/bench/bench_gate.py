"""Memory of the gate process: one gate, and sixteen, under a plan on a simulated canal, as a Pi runs it."""

import asyncio
from collections.abc import Sequence
from statistics import median

from edge_agent.gate_control.simulation.example import example_level_m
from shared.contracts.gate_plan import GateDirective, GatePlan, UpstreamLevelObjective
from tests.bench.device import memory_mib
from tests.bench.gate_site import site_with_gate
from tests.bench.result import Result
from tests.fakes.gate import START

DEPTH_M = 2.1
GATES = {"gate_pss_idle_mib": ("g1",), "gate_pss_mib": tuple(f"g{number}" for number in range(1, 17))}
NAMES = tuple(GATES)
RUNS = 3
SETTLE_S = 20.0


async def run(wanted: frozenset[str]) -> list[Result]:
    """PSS of `munbon-gate run` after 20 s under a plan: scans once a second, moves its gates, journals. Median of 3 processes.

    gate_pss_idle_mib: a site of one gate. gate_pss_mib: a site of sixteen, each with a level of its own to hold.
    """
    return [await memory(name) for name in NAMES if name in wanted]


async def memory(name: str) -> Result:
    """One figure."""
    readings = [await measure(GATES[name]) for _ in range(RUNS)]
    params = {
        "goal": "36, try for 30",
        "runs": RUNS,
        "worst": round(max(pss for pss, _, _ in readings), 1),
        "rss": round(median(rss for _, rss, _ in readings), 1),
        "after_s": SETTLE_S,
        "gates": len(GATES[name]),
        "environment": readings[0][2],
    }
    return Result(name, round(median(pss for pss, _, _ in readings), 1), "MiB", "lower", params)


async def measure(gates: Sequence[str]) -> tuple[float, float, str]:
    """PSS and RSS in MiB of one fresh gate process, and its environment."""
    async with site_with_gate(gates) as site:
        await site.set_plan(make_plan(gates))
        await asyncio.sleep(SETTLE_S)
        assert site.process.pid is not None, site.process.log_tail()
        found = memory_mib(site.process.pid)
        return found["Pss"], found["Rss"], site.environment


def make_plan(gates: Sequence[str]) -> GatePlan:
    """Each gate holds the level above it."""
    directives = {gate: GateDirective(objective=UpstreamLevelObjective(level_m=example_level_m(gates, gate, DEPTH_M))) for gate in gates}
    return GatePlan(site="north", generation=1, valid_from=START, author="bench", gates=directives)
