"""Lists from the server's cache: quick, and never older than what we wrote ourselves."""

from edge_agent.kube.client import KubeClient
from edge_agent.kube.discovery import ResourceKind
from tests.builders_kubernetes import config_map
from tests.integration.kube.conftest import Bench

CONFIG_MAPS = ResourceKind("", "v1", "ConfigMap", "configmaps", True)


async def values_of(kube: KubeClient, namespace: str) -> dict[str, str]:
    listing = await kube.list(CONFIG_MAPS, namespace, may_lag=True)
    return {item["metadata"]["name"]: item["data"].get("number", "") for item in listing.items if "number" in (item.get("data") or {})}


async def test_our_own_writes_are_seen_at_once(bench: Bench) -> None:
    for number in range(20):
        changed = {**config_map("own"), "data": {"number": str(number)}}
        changed["metadata"] = {**changed["metadata"], "namespace": bench.namespace}
        await bench.kube.apply(CONFIG_MAPS, changed, force=True)
        assert (await values_of(bench.kube, bench.namespace))["own"] == str(number)


async def test_a_cluster_that_counts_anew_is_still_read(bench: Bench) -> None:
    written = {**config_map("old"), "data": {"number": "1"}}
    written["metadata"] = {**written["metadata"], "namespace": bench.namespace}
    await bench.kube.apply(CONFIG_MAPS, written, force=True)
    # as if the database before a reinstallation had counted much further
    bench.kube._own_writes.note(CONFIG_MAPS, {"metadata": {"resourceVersion": str(10**9)}})
    assert await values_of(bench.kube, bench.namespace) == {"old": "1"}
