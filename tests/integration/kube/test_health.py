"""Health on a node whose pods play a script: what fails, how fast, and with which cause (kubernetes.md 2.3)."""

import asyncio
import time

from deploy.local_cluster.pod_script import CrashLoopBackOff, Fails, ImagePullBackOff, OOMKilled, Ready, Slow
from edge_agent.model import Manifest, Verdict
from shared.contracts.event import Cause
from tests.builders_kubernetes import config_map, deployment, job, stateful_set
from tests.integration.kube.conftest import Bench

NEW = "docker.io/munbon/web:1.1.0"
NOT_FOUND = (
    'failed to pull and unpack image "docker.io/munbon/web:1.1.0": failed to resolve reference: docker.io/munbon/web:1.1.0: not found'
)
NO_UPLINK = 'failed to do request: Head "https://registry-1/v2/": dial tcp: lookup registry-1: no such host'


async def test_a_crash_loop_is_known_within_seconds_with_exit_code_and_last_log_line(bench: Bench) -> None:
    bench.cluster.script.change(by_image={"*/web:1.1.0": CrashLoopBackOff(exit_code=3, last_log="no config found")})
    await bench.apply(deployment())
    await bench.verdict(deployment())
    began = time.monotonic()
    since = bench.clock.wall()
    await bench.apply(deployment(image=NEW))
    assessment = await bench.verdict(deployment(image=NEW), since=since)
    assert time.monotonic() - began < 20
    assert assessment.verdict is Verdict.FAILED
    cause = assessment.cause
    assert cause is not None
    assert (cause.code, cause.container, cause.exit_code, cause.last_log_line) == ("CrashLoopBackOff", "web", 3, "no config found")
    assert cause.pod.startswith("web-")
    assert cause.blames == "release"


async def test_the_fix_of_a_crash_loop_is_not_failed_by_the_old_pods(bench: Bench) -> None:
    bench.cluster.script.change(by_image={"*/web:1.0.0": CrashLoopBackOff(exit_code=1)})
    await bench.apply(deployment())
    assert (await bench.verdict(deployment())).verdict is Verdict.FAILED
    since = bench.clock.wall()
    await bench.apply(deployment(image=NEW))
    assert (await bench.verdict(deployment(image=NEW), since=since)).verdict is Verdict.READY


async def test_a_container_out_of_memory_fails_at_once(bench: Bench) -> None:
    bench.cluster.script.change(by_image={"*/web:*": OOMKilled()})
    await bench.apply(deployment())
    assessment = await bench.verdict(deployment())
    assert assessment.cause is not None
    assert (assessment.cause.code, assessment.cause.exit_code) == ("OOMKilled", 137)


async def test_an_image_that_does_not_exist_blames_the_release(bench: Bench) -> None:
    bench.cluster.script.change(by_image={"*/web:*": ImagePullBackOff(message=NOT_FOUND)})
    await bench.apply(deployment())
    assessment = await bench.verdict(deployment())
    assert assessment.cause is not None
    assert (assessment.cause.code, assessment.cause.blames) == ("ImagePullBackOff", "release")
    assert "docker.io/munbon/web:1.0.0" in assessment.cause.message


async def test_a_registry_out_of_reach_blames_the_world_and_stops_no_release(bench: Bench) -> None:
    bench.cluster.script.change(by_image={"*/web:*": ImagePullBackOff(message=NO_UPLINK)})
    await bench.apply(deployment())
    render, since = bench.render(deployment()), bench.clock.wall()
    async with asyncio.timeout(30):
        while (assessment := await bench.engine.assess(render, since=since, now=bench.clock.wall())).images_ready:
            assert assessment.verdict is Verdict.PROGRESSING
            await asyncio.sleep(0.1)
    assert assessment.verdict is Verdict.PROGRESSING
    assert assessment.cause is not None
    assert assessment.cause.blames == "world"
    bench.cluster.script.change(by_image={"*/web:*": Ready()})
    assert (await bench.verdict(deployment(), since=since)).verdict is Verdict.READY


async def test_a_slow_pull_is_no_failure_and_shows_as_images_not_ready(bench: Bench) -> None:
    bench.cluster.script.change(by_image={"*/web:*": Slow(delay_s=2.0)})
    await bench.apply(deployment())
    render, since, seen = bench.render(deployment()), bench.clock.wall(), set()
    async with asyncio.timeout(30):
        while (assessment := await bench.engine.assess(render, since=since, now=bench.clock.wall())).verdict is Verdict.PROGRESSING:
            seen.add(assessment.images_ready)
            await asyncio.sleep(0.1)
    assert assessment.verdict is Verdict.READY
    assert assessment.images_ready
    assert False in seen


async def test_a_job_that_fails_names_its_container(bench: Bench) -> None:
    bench.cluster.script.change(by_image={"*/migrate:*": Fails(exit_code=4, last_log="table missing")})
    await bench.apply(job())
    assessment = await bench.verdict(job())
    assert assessment.verdict is Verdict.FAILED
    assert assessment.cause is not None
    assert (assessment.cause.exit_code, assessment.cause.last_log_line) == (4, "table missing")


async def test_a_missing_object_is_progressing_and_so_is_an_unreachable_cluster(bench: Bench) -> None:
    render, now = bench.render(config_map()), bench.clock.wall()
    assessment = await bench.engine.assess(render, since=now, now=now)
    assert (assessment.verdict, assessment.message) == (Verdict.PROGRESSING, f"ConfigMap {bench.namespace}/settings: is not there")
    if bench.cluster.memory is not None:
        bench.cluster.memory.is_down = True
        assessment = await bench.engine.assess(render, since=now, now=now)
        assert assessment.verdict is Verdict.PROGRESSING
        assert assessment.cause is not None
        assert (assessment.cause.code, assessment.cause.blames) == ("ApiUnavailable", "world")
        result = await bench.engine.converge(render)
        assert result.cause is not None
        assert result.cause.blames == "world"


async def test_a_stateful_set_comes_back_from_a_revision_whose_pods_never_got_ready(bench: Bench) -> None:
    bench.cluster.script.change(by_image={"*/store:1.1.0": CrashLoopBackOff(exit_code=2, last_log="schema too new")})
    good, bad = stateful_set(), stateful_set(image="docker.io/munbon/store:1.1.0")
    await bench.apply(good)
    assert (await bench.verdict(good)).verdict is Verdict.READY
    since = bench.clock.wall()
    await bench.apply(bad)
    assessment = await bench.verdict(bad, since=since)
    assert assessment.verdict is Verdict.FAILED
    assert assessment.cause is not None
    assert assessment.cause.last_log_line == "schema too new"
    since = bench.clock.wall()
    assert (await bench.apply(good)).cause is None
    assert (await bench.verdict(good, since=since)).verdict is Verdict.READY


async def test_a_volume_that_cannot_be_mounted_is_explained_by_its_event(bench: Bench) -> None:
    bench.cluster.script.change(by_image={"*/web:*": Slow(delay_s=600)})
    await bench.apply(deployment())
    [pod] = await bench.cluster.until("the pod waits", lambda: waiting_pods(bench))
    conditions = [{"type": "PodReadyToStartContainers", "status": "False"}]
    path = bench.cluster.path("Pod", pod["metadata"]["name"])
    await bench.cluster.kube.patch(f"{path}/status", {"status": {"conditions": conditions}}, "application/strategic-merge-patch+json")
    about = {"kind": "Pod", "namespace": bench.namespace, "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
    for number, message in enumerate(["older words", "no such device"]):
        event = {
            "metadata": {"name": f"e{number}", "namespace": bench.namespace},
            "involvedObject": about,
            "type": "Warning",
            "reason": "FailedMount",
            "message": message,
            "lastTimestamp": f"2026-03-01T12:00:0{number}Z",
        }
        await bench.cluster.kube.create(f"/api/v1/namespaces/{bench.namespace}/events", event)
    now = bench.clock.wall()

    async def explained() -> Cause | None:
        # written by another client than the engine's, whose lists may be a moment old and still show an earlier cause
        cause = (await bench.engine.assess(bench.render(deployment()), since=now, now=now)).cause
        return cause if cause is not None and cause.code == "FailedMount" else None

    cause = await bench.cluster.until("the cause is named", explained)
    assert (cause.code, cause.message) == ("FailedMount", "no such device")


async def waiting_pods(bench: Bench) -> list[Manifest]:
    """Pods whose containers are being created."""
    return [pod for pod in await bench.cluster.items("Pod") if pod.get("status", {}).get("containerStatuses")]
