"""Sync waves as Argo CD means them (kubernetes.md 3.1)."""

from deploy.local_cluster.pod_script import CrashLoopBackOff, Ready, Unready
from edge_agent.model import Verdict
from tests.builders_kubernetes import claim, config_map, deployment, in_wave, job
from tests.integration.kube.conftest import Bench, actions


async def test_a_wave_waits_until_the_one_before_is_healthy(bench: Bench) -> None:
    bench.cluster.script.change(by_image={"*/web:*": Unready()})
    objects = (in_wave(deployment(), 0), in_wave(config_map(), 1))
    result = await bench.engine.converge(bench.render(*objects))
    assert result.waiting.startswith("wave 0: Deployment.apps ")
    assert actions(result) == {"Deployment web": "created"}
    assert await bench.is_gone("ConfigMap", "settings")
    bench.cluster.script.change(by_image={"*/web:*": Ready()})
    assert (await bench.apply(*objects)).cause is None
    assert not await bench.is_gone("ConfigMap", "settings")


async def test_a_wave_that_fails_ends_the_apply_and_later_waves_never_come(bench: Bench) -> None:
    bench.cluster.script.change(by_image={"*/web:*": CrashLoopBackOff(exit_code=3, last_log="no config found")})
    objects = (in_wave(deployment(), -1), config_map())
    result = await bench.apply(*objects)
    assert result.cause is not None
    assert (result.cause.code, result.cause.exit_code, result.cause.last_log_line) == ("CrashLoopBackOff", 3, "no config found")
    assert await bench.is_gone("ConfigMap", "settings")


async def test_a_job_in_an_early_wave_runs_to_its_end_first(bench: Bench) -> None:
    objects = (in_wave(job(), -1), deployment())
    assert (await bench.apply(*objects)).cause is None
    assert (await bench.live("Job", "migrate"))["status"]["succeeded"] == 1
    assert (await bench.verdict(*objects)).verdict is Verdict.READY


async def test_drift_in_a_late_wave_is_repaired_also_while_an_early_one_is_ill(bench: Bench) -> None:
    objects = (in_wave(deployment(), 0), in_wave(config_map(a="1"), 1))
    await bench.apply(*objects)
    bench.cluster.script.change(by_image={"*/web:*": Unready()})
    path = bench.cluster.path("ConfigMap", "settings")
    await bench.cluster.kube.patch(path, {"data": {"a": "9"}})
    assert (await bench.engine.converge(bench.render(*objects))).waiting == ""
    assert (await bench.live("ConfigMap", "settings"))["data"] == {"a": "1"}


async def test_a_claim_that_binds_at_first_use_does_not_hold_up_its_deployment(bench: Bench) -> None:
    name = f"late-{bench.namespace}"
    storage = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "munbon.test/none",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    await bench.cluster.kube.create("/apis/storage.k8s.io/v1/storageclasses", storage)
    try:
        result = await bench.apply(in_wave(claim(storage_class=name), 0), in_wave(config_map(), 1))
        assert result.cause is None
        assert not await bench.is_gone("ConfigMap", "settings")
    finally:
        await bench.cluster.kube.delete(f"/apis/storage.k8s.io/v1/storageclasses/{name}")
