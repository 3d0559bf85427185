"""Memory of the gate process: one gate under a plan, on a simulated canal, as a Pi runs it."""

import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

from deploy.harness.gate import RunningGate, RunningSite
from edge_agent.gate_control.console.client import ask
from shared.contracts.envelope import Role
from shared.contracts.gate_socket import GateOperation
from shared.signing.dsse import make_trust_root
from tests.bench.device import memory_mib, node_python, run_on
from tests.bench.result import Result
from tests.fakes.gate import OWNER, make_plan, signed

NAMES = ("gate_pss_idle_mib",)
RUNS = 3
SETTLE_S = 20.0


async def run(wanted: frozenset[str]) -> list[Result]:
    """PSS of `munbon-gate run` after 20 s under a plan: scans once a second, moves its gate, journals. Median of 3 processes."""
    interpreter, environment = await node_python("gate")
    readings = [await measure(interpreter) for _ in range(RUNS)]
    params = {
        "goal": "36, try for 30",
        "runs": RUNS,
        "worst": round(max(pss for pss, _ in readings), 1),
        "rss": round(median(rss for _, rss in readings), 1),
        "after_s": SETTLE_S,
        "gates": 1,
        "environment": environment,
    }
    return [Result("gate_pss_idle_mib", round(median(pss for pss, _ in readings), 1), "MiB", "lower", params)]


async def measure(interpreter: Path) -> tuple[float, float]:
    """PSS and RSS in MiB of one fresh gate process."""
    async with AsyncExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="munbon-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        site = RunningSite(folder, site="north", run_dir=folder, speed=1.0)
        stack.push_async_callback(site.stop)
        await site.start()
        gate = RunningGate(site, folder, make_trust_root({Role.GATE_PLAN: [OWNER.public]}).to_json())
        run_on(gate.process, "munbon-gate", "edge_agent.gate_control.main", interpreter)
        stack.push_async_callback(gate.stop)
        await gate.start()
        params = {"envelope": signed(make_plan()).decode()}
        await asyncio.to_thread(ask, gate.socket, GateOperation.PLAN_SET, params)
        await asyncio.sleep(SETTLE_S)
        assert gate.process.pid is not None, gate.process.log_tail()
        found = memory_mib(gate.process.pid)
        return found["Pss"], found["Rss"]
