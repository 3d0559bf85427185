"""A release on one node with a real cluster: how soon it is there, and how soon a bad one is gone again."""

import asyncio
import time
from contextlib import suppress
from statistics import median

from deploy.harness.apps import CRASHING, Behaviour, Manifest, web_app
from deploy.harness.processes import ProcessFailed
from deploy.harness.world import NodePlan, World, WorldNode, throw_away_world
from deploy.local_cluster.kube_http import KubeHttpError
from tests.bench.fleet import add_lean_node, best_real_cluster, event_of, next_version, p99, publish_and_start, seconds
from tests.bench.result import Result

VERIFIED = "publish_to_verified_1_node_s"
LAST_GOOD = "bad_release_to_last_good_s"
NAMES = (VERIFIED, LAST_GOOD)
VERIFIED_RUNS = 20
BAD_RUNS = 5
APP = "gate-ui"
NODE = "pi-north"


async def run(wanted: frozenset[str]) -> list[Result]:
    """Both figures on one node: a full node where this machine can, else a control plane with scripted pods.

    publish_to_verified_1_node_s: from the moment at which central accepted the rollout (its `started_at`, the release published just
    before) until central received the node's ReleaseVerified: Desired composed, signed and put; notice; Direct Get; signature
    and order checked; blob fetched and checked; saved and synced; event home. Value: p50. "with_cli": from the start of the process
    `munbon release publish`, through `munbon rollout start`, until then.

    bad_release_to_last_good_s: a release of which the container ends at once replaces the serving one (strategy Recreate, so nothing
    serves meanwhile). From the node's ReleaseApplied of it until its page is the last good one again, asked for all the while; on
    a control plane until the node's ReleaseRolledBack, which comes after the last good one's health. Value: p50.
    """
    results = []
    async with throw_away_world() as world:
        kind = best_real_cluster()
        node, environment = await add_lean_node(world, NODE, NodePlan(kind, heartbeat_s=30.0, resync_s=300.0))
        shared = {"cluster": kind, "environment": environment}
        await world.deliver(APP, next_version(), release("first"), wait_s=120)
        if VERIFIED in wanted:
            results.append(await verified(world, shared))
        if LAST_GOOD in wanted:
            results.append(await last_good(world, node, shared))
    return results


def release(word: str, behaviour: Behaviour | None = None) -> list[Manifest]:
    """A page behind a Service; its pods are replaced by each version, and there is one at a time."""
    objects = web_app(APP, word, behaviour) if behaviour else web_app(APP, word)
    next(each for each in objects if each["kind"] == "Deployment")["spec"]["strategy"] = {"type": "Recreate"}
    return objects


async def verified(world: World, shared: dict[str, str]) -> Result:
    """How soon a release is on the node."""
    times_s, with_cli_s = [], []
    for number in range(VERIFIED_RUNS):
        before = time.time()
        rollout = await publish_and_start(world, APP, release(f"run {number}"))
        seen = await event_of(world, NODE, "ReleaseVerified", rollout)
        times_s.append(seconds(rollout.started_at, seen.received_at))
        with_cli_s.append(seen.received_at.timestamp() - before)
        await event_of(world, NODE, "ReleaseReady", rollout)
    params = {"goal": "none set", "runs": VERIFIED_RUNS, "value": "p50", "p99": round(p99(times_s), 3),
              "with_cli_p50": round(median(with_cli_s), 2), **shared}  # fmt: skip
    return Result(VERIFIED, round(median(times_s), 3), "s", "lower", params)


async def last_good(world: World, node: WorldNode, shared: dict[str, str]) -> Result:
    """How soon the last good one serves again."""
    good = "the good one"
    await world.deliver(APP, next_version(), release(good), wait_s=120)
    times_s, events_s = [], []
    for number in range(BAD_RUNS):
        watch = asyncio.create_task(watch_page(node, f"{APP} {good}")) if node.cluster.kind == "full" else None
        try:
            rollout = await publish_and_start(world, APP, release(f"bad {number}", CRASHING))
            applied = await event_of(world, NODE, "ReleaseApplied", rollout)
            back = await event_of(world, NODE, "ReleaseRolledBack", rollout)
            events_s.append(seconds(applied.time, back.time))
            if watch is None:
                times_s.append(events_s[-1])
            else:
                async with asyncio.timeout(60):
                    times_s.append(await watch - applied.time.timestamp())
        finally:
            if watch is not None:
                watch.cancel()
                with suppress(asyncio.CancelledError):
                    await watch
    params = {"goal": "30, try for 10", "runs": BAD_RUNS, "value": "p50", "worst": round(max(times_s), 2),
              "rolled_back_event_p50": round(median(events_s), 2), "failure": "container exits with 3 at once", **shared}  # fmt: skip
    return Result(LAST_GOOD, round(median(times_s), 2), "s", "lower", params)


async def watch_page(node: WorldNode, wanted: str) -> float:
    """Wall time at which the page was the wanted one again after it had not been."""
    was_away = False
    while True:
        page = ""
        with suppress(ProcessFailed, KubeHttpError):
            page = await node.cluster.read_page(APP)
        if page.strip() == wanted:
            if was_away:
                return time.time()
        else:
            was_away = True
        await asyncio.sleep(0.1)
