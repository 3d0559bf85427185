"""Whatever a release holds: a second pass writes nothing, another release leaves no trace of the first, and removal leaves nothing."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.local_cluster.in_memory import InMemoryServer
from edge_agent.apply.engine import ApplyEngine
from edge_agent.kube.client import KubeClient
from edge_agent.model import Manifest, Render
from shared.clock import SystemClock
from shared.contracts.release import DeliveryPolicy
from tests.builders_kubernetes import config_map, custom, definition, deployment, in_wave, namespace, service
from tests.integration.kube.conftest import MemoryInventory

CHOICES: list[Manifest] = [
    config_map("a", x="1"),
    config_map("a", x="2", y="3"),
    config_map("b"),
    service("web", {"port": 80}, {"port": 53, "protocol": "UDP", "name": "u"}),
    deployment(replicas=0),
    deployment(image="docker.io/munbon/web:2.0.0", replicas=0),
    in_wave(config_map("late"), 2),
    namespace("second"),
    {**config_map("inside"), "metadata": {"name": "inside", "namespace": "second"}},
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "v"}},
    {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}, "rules": []},
]


@st.composite
def releases(draw: st.DrawFn) -> list[Manifest]:
    """Some objects, no two of one name; objects of the namespace `second` only with it; a custom object only with its definition."""
    chosen = draw(st.lists(st.sampled_from(range(len(CHOICES))), max_size=8))
    found: dict[tuple[str, str], Manifest] = {}
    for place in chosen:
        found.setdefault((CHOICES[place]["kind"], CHOICES[place]["metadata"]["name"]), CHOICES[place])
    if ("ConfigMap", "inside") in found:
        found.setdefault(("Namespace", "second"), namespace("second"))
    objects = list(found.values())
    return [*objects, custom("munbon.test"), definition("munbon.test")] if draw(st.booleans()) else objects


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(releases(), releases())
def test_any_release_settles_is_followed_by_any_other_and_is_removed(first: list[Manifest], second: list[Manifest]) -> None:
    asyncio.run(_tell(first, second))


async def _tell(first: list[Manifest], second: list[Manifest]) -> None:
    async with InMemoryServer() as server:
        cluster = server.add("node")
        with tempfile.TemporaryDirectory() as folder:
            kubeconfig = Path(folder) / "kubeconfig"
            kubeconfig.write_text(yaml.safe_dump(cluster.kubeconfig()))
            kube = await KubeClient.open(kubeconfig)
        inventory = MemoryInventory()
        engine = ApplyEngine(kube, inventory, SystemClock())
        try:
            for objects in (first, second):
                await _settle(engine, kube, objects)
                await _prune(engine, [_render(objects)])
            kept_kinds = {"CustomResourceDefinition", "Namespace"}
            wanted = {(item["kind"], item["metadata"]["name"]) for item in second}
            known = {(entry.ref.kind, entry.ref.name) for entry in inventory.load("shop")}
            assert wanted <= known
            assert {kind for kind, _ in known - wanted} <= kept_kinds
            await _prune(engine, [])
            assert inventory.load("shop") == ()
            left = await engine.rebuild_inventory("shop")
            assert {entry.ref.kind for entry in left.get("shop", ())} <= {"CustomResourceDefinition"}
        finally:
            await kube.close()


def _render(objects: list[Manifest]) -> Render:
    return Render("shop", "0" * 64, "1.0.0", "home", tuple(objects), DeliveryPolicy())


async def _settle(engine: ApplyEngine, kube: KubeClient, objects: list[Manifest]) -> None:
    result: Any = None
    async with asyncio.timeout(20):
        while result is None or result.waiting:
            result = await engine.converge(_render(objects))
            assert result.cause is None, result.cause
            await asyncio.sleep(0.01)
    writes = kube.writes_sent
    result = await engine.converge(_render(objects), force_full=True)
    assert {change.action for change in result.changes} <= {"unchanged"}
    assert kube.writes_sent == writes


async def _prune(engine: ApplyEngine, keep: list[Render]) -> None:
    async with asyncio.timeout(20):
        while (await engine.prune("shop", keep)).pending:
            await asyncio.sleep(0.01)
