"""Workloads with a scripted node: rollouts that get ready, are slow, or crash; and what their status says meanwhile."""

import asyncio

from deploy.local_cluster.pod_script import CrashLoopBackOff, Fails, ImagePullBackOff, OOMKilled, Ready, Slow, Unready
from tests.contract.kubernetes.manifests import Obj, condition, container, daemon_set, deployment, stateful_set
from tests.fixtures_kubernetes import Cluster

REVISION = "deployment.kubernetes.io/revision"


def _is_complete(obj: Obj) -> bool:
    status = obj.get("status", {})
    replicas = obj["spec"]["replicas"]
    counted = all(status.get(name, 0) == replicas for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"))
    return bool(
        status.get("observedGeneration") == obj["metadata"]["generation"]
        and counted
        and condition(obj, "Progressing").get("reason") == "NewReplicaSetAvailable"
    )


async def _rolled_out(cluster: Cluster, name: str = "web") -> Obj:
    return await cluster.until_object("Deployment", name, "is rolled out", _is_complete)


async def _pods_of(cluster: Cluster, image: str) -> list[Obj]:
    return [pod for pod in await cluster.items("Pod") if pod["spec"]["containers"][0]["image"] == image]


async def _pod_waiting(cluster: Cluster, image: str, reason: str) -> Obj:
    async def look() -> Obj | None:
        for pod in await _pods_of(cluster, image):
            statuses = pod.get("status", {}).get("containerStatuses") or [{}]
            if statuses[0].get("state", {}).get("waiting", {}).get("reason") == reason:
                return pod
        return None

    found: Obj = await cluster.until(f"a pod of {image} waits because of {reason}", look)
    return found


async def test_a_deployment_gets_ready(cluster: Cluster) -> None:
    await cluster.apply(deployment(replicas=2))
    live = await _rolled_out(cluster)
    assert condition(live, "Available")["status"] == "True"
    assert condition(live, "Progressing")["status"] == "True"
    assert "unavailableReplicas" not in live["status"]
    assert live["metadata"]["annotations"][REVISION] == "1"
    (replica_set,) = await cluster.items("ReplicaSet")
    suffix = replica_set["metadata"]["labels"]["pod-template-hash"]
    assert replica_set["metadata"]["name"] == f"web-{suffix}"
    assert replica_set["metadata"]["annotations"][REVISION] == "1"
    assert replica_set["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": suffix}
    pods = await cluster.items("Pod")
    assert {pod["metadata"]["labels"]["pod-template-hash"] for pod in pods} == {suffix}
    assert {pod["metadata"]["ownerReferences"][0]["uid"] for pod in pods} == {replica_set["metadata"]["uid"]}
    assert {pod["spec"]["nodeName"] for pod in pods} == {cluster.kubelet.node_name}


async def test_a_new_template_makes_a_new_replica_set_and_retires_the_old_one(cluster: Cluster) -> None:
    await cluster.apply(deployment(replicas=2))
    await _rolled_out(cluster)
    await cluster.apply(deployment("web", container(image="munbon/web:1.1.0"), replicas=2))
    live = await _rolled_out(cluster)
    assert live["metadata"]["annotations"][REVISION] == "2"
    by_revision = {each["metadata"]["annotations"][REVISION]: each["spec"]["replicas"] for each in await cluster.items("ReplicaSet")}
    assert by_revision == {"1": 0, "2": 2}


async def test_going_back_uses_the_old_replica_set_under_a_new_revision(cluster: Cluster) -> None:
    await cluster.apply(deployment())
    await _rolled_out(cluster)
    (first,) = await cluster.items("ReplicaSet")
    await cluster.apply(deployment("web", container(image="munbon/web:1.1.0")))
    await _rolled_out(cluster)
    await cluster.apply(deployment())
    live = await _rolled_out(cluster)
    assert live["metadata"]["annotations"][REVISION] == "3"
    by_name = {each["metadata"]["name"]: each for each in await cluster.items("ReplicaSet")}
    assert len(by_name) == 2
    again = by_name[first["metadata"]["name"]]
    assert (again["spec"]["replicas"], again["metadata"]["annotations"][REVISION]) == (1, "3")


async def test_the_old_pods_serve_while_the_new_ones_crash(cluster: Cluster) -> None:
    await cluster.apply(deployment())
    await _rolled_out(cluster)
    cluster.script.change(by_image={"munbon/web:bad": CrashLoopBackOff(exit_code=3, last_log="no config found", restart_delay_s=0.3)})
    await cluster.apply(deployment("web", container(image="munbon/web:bad", terminationMessagePolicy="FallbackToLogsOnError")))
    pod = await _pod_waiting(cluster, "munbon/web:bad", "CrashLoopBackOff")
    status = pod["status"]["containerStatuses"][0]
    assert status["restartCount"] >= 1
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert status["lastState"]["terminated"]["message"] == "no config found"
    live = await cluster.get("Deployment", "web")
    assert live["status"]["availableReplicas"] == 1
    assert live["status"]["unavailableReplicas"] == 1
    assert condition(live, "Available")["status"] == "True"
    assert [len(await _pods_of(cluster, image)) for image in ("munbon/web:1.0.0", "munbon/web:bad")] == [1, 1]


async def test_restarts_of_a_crashing_container_are_counted(cluster: Cluster) -> None:
    cluster.script.change(default=CrashLoopBackOff(restart_delay_s=0.1, longest_delay_s=0.2))
    await cluster.apply(deployment())

    async def three_restarts() -> bool:
        pods = await cluster.items("Pod")
        return any(pod.get("status", {}).get("containerStatuses", [{}])[0].get("restartCount", 0) >= 3 for pod in pods)

    await cluster.until("three restarts", three_restarts)


async def test_the_log_of_the_former_run_tells_the_last_line(cluster: Cluster) -> None:
    cluster.script.change(default=CrashLoopBackOff(exit_code=2, last_log="panic: no route", restart_delay_s=5))
    await cluster.apply(deployment())
    pod = await _pod_waiting(cluster, "munbon/web:1.0.0", "CrashLoopBackOff")
    path = cluster.path("Pod", pod["metadata"]["name"]) + "/log"
    assert await cluster.kube.get(path, previous="true", tailLines="1", container="web") == "panic: no route\n"


async def test_a_running_container_has_no_former_log(cluster: Cluster) -> None:
    await cluster.apply(deployment())
    await _rolled_out(cluster)
    (pod,) = await cluster.items("Pod")
    code, told = await cluster.kube.raw("GET", cluster.path("Pod", pod["metadata"]["name"]) + "/log", previous="true")
    assert code == 400
    assert 'previous terminated container "web"' in str(told)


async def test_an_image_that_cannot_be_pulled(cluster: Cluster) -> None:
    cluster.script.change(default=ImagePullBackOff("manifest for munbon/web:1.0.0 not found"))
    await cluster.apply(deployment())
    pod = await _pod_waiting(cluster, "munbon/web:1.0.0", "ImagePullBackOff")
    assert pod["status"]["phase"] == "Pending"
    assert "not found" in pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"]


async def test_out_of_memory(cluster: Cluster) -> None:
    cluster.script.change(default=OOMKilled(restart_delay_s=5))
    await cluster.apply(deployment())
    pod = await _pod_waiting(cluster, "munbon/web:1.0.0", "CrashLoopBackOff")
    ended = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


async def test_a_slow_image_is_waited_for(cluster: Cluster) -> None:
    cluster.script.change(default=Slow(delay_s=1.0))
    await cluster.apply(deployment())
    pod = await _pod_waiting(cluster, "munbon/web:1.0.0", "ContainerCreating")
    assert pod["status"]["phase"] == "Pending"
    live = await cluster.get("Deployment", "web")
    assert condition(live, "Available").get("status") != "True"
    await _rolled_out(cluster)


async def test_a_pod_that_is_not_ready_leaves_the_deployment_unavailable(cluster: Cluster) -> None:
    cluster.script.change(default=Unready())
    await cluster.apply(deployment())

    def is_waiting(obj: Obj) -> bool:
        return (
            condition(obj, "Available").get("status") == "False"
            and obj["status"].get("unavailableReplicas") == 1
            and obj["status"].get("replicas") == 1
        )

    live = await cluster.until_object("Deployment", "web", "waits", is_waiting)
    assert condition(live, "Available")["reason"] == "MinimumReplicasUnavailable"
    assert condition(live, "Progressing")["status"] == "True"


async def test_the_script_may_change_while_pods_run(cluster: Cluster) -> None:
    cluster.script.change(default=Unready())
    await cluster.apply(deployment())
    await cluster.until_object("Deployment", "web", "has a pod", lambda o: o.get("status", {}).get("replicas") == 1)
    cluster.script.change(default=Ready())
    await _rolled_out(cluster)


async def test_a_rollout_that_makes_no_progress_exceeds_its_deadline(cluster: Cluster) -> None:
    cluster.script.change(default=Unready())
    await cluster.apply(deployment(progressDeadlineSeconds=2))

    def has_given_up(obj: Obj) -> bool:
        return condition(obj, "Progressing").get("reason") == "ProgressDeadlineExceeded"

    live = await cluster.until_object("Deployment", "web", "gave up", has_given_up)
    assert condition(live, "Progressing")["status"] == "False"


async def test_recreate_ends_the_old_pods_first(cluster: Cluster) -> None:
    await cluster.apply(deployment(strategy={"type": "Recreate"}))
    await _rolled_out(cluster)
    cluster.script.change(by_image={"munbon/web:2": Unready()})
    await cluster.apply(deployment("web", container(image="munbon/web:2"), strategy={"type": "Recreate"}))

    async def only_new() -> bool:
        return not await _pods_of(cluster, "munbon/web:1.0.0") and len(await _pods_of(cluster, "munbon/web:2")) == 1

    await cluster.until("only the new pod is left", only_new)


async def test_scaling_makes_no_new_revision(cluster: Cluster) -> None:
    await cluster.apply(deployment(replicas=1))
    await _rolled_out(cluster)
    await cluster.apply(deployment(replicas=3))
    live = await _rolled_out(cluster)
    assert live["metadata"]["annotations"][REVISION] == "1"
    await cluster.apply(deployment(replicas=0))

    async def no_pods() -> bool:
        return not await cluster.items("Pod")

    await cluster.until("no pods", no_pods)


async def test_an_init_container_that_fails_keeps_the_pod_pending(cluster: Cluster) -> None:
    cluster.script.change(by_image={"munbon/init:bad": Fails(exit_code=4, restart_delay_s=5)})
    obj = deployment()
    obj["spec"]["template"]["spec"]["initContainers"] = [container("prepare", "munbon/init:bad")]
    await cluster.apply(obj)

    async def init_failed() -> Obj | None:
        for pod in await cluster.items("Pod"):
            for status in pod.get("status", {}).get("initContainerStatuses") or ():
                if (status.get("lastState") or {}).get("terminated", {}).get("exitCode") == 4:
                    return pod
        return None

    pod: Obj = await cluster.until("the init container failed", init_failed)
    assert pod["status"]["phase"] == "Pending"
    assert condition(pod, "Initialized")["status"] == "False"


async def test_a_stateful_set_starts_its_pods_one_after_the_other(cluster: Cluster) -> None:
    await cluster.apply(stateful_set(replicas=2))

    def is_ready(obj: Obj) -> bool:
        status = obj.get("status", {})
        counted = status.get("readyReplicas") == 2 and status.get("currentReplicas") == 2
        return bool(counted and status["currentRevision"] == status["updateRevision"])

    live = await cluster.until_object("StatefulSet", "store", "is ready", is_ready)
    assert live["status"]["updatedReplicas"] == 2
    assert live["status"]["observedGeneration"] == 1
    pods = sorted(await cluster.items("Pod"), key=lambda pod: pod["metadata"]["creationTimestamp"])
    assert {pod["metadata"]["name"] for pod in pods} == {"store-0", "store-1"}
    assert {pod["metadata"]["labels"]["controller-revision-hash"] for pod in pods} == {live["status"]["updateRevision"]}


async def test_a_stateful_set_rolls_to_a_new_revision(cluster: Cluster) -> None:
    await cluster.apply(stateful_set())
    first = await cluster.until_object("StatefulSet", "store", "is ready", lambda o: o.get("status", {}).get("readyReplicas") == 1)
    await cluster.apply(stateful_set("store", container("web", "munbon/web:2")))

    def has_rolled(obj: Obj) -> bool:
        status = obj["status"]
        return bool(
            status["currentRevision"] == status["updateRevision"] != first["status"]["updateRevision"]
            and status.get("readyReplicas") == 1
            and status.get("updatedReplicas") == 1
        )

    await cluster.until_object("StatefulSet", "store", "has rolled", has_rolled)


async def test_a_broken_pod_of_a_stateful_set_blocks_its_repair_until_it_is_deleted(cluster: Cluster) -> None:
    """Going back to a good revision is not enough: whoever rolls back must also delete the broken pod."""
    cluster.script.change(by_image={"munbon/web:bad": CrashLoopBackOff(restart_delay_s=0.3)})
    await cluster.apply(stateful_set("store", container("web", "munbon/web:bad")))
    await _pod_waiting(cluster, "munbon/web:bad", "CrashLoopBackOff")
    await cluster.apply(stateful_set("store", container("web", "munbon/web:good")))

    def has_seen_it(obj: Obj) -> bool:
        return bool(obj["status"]["observedGeneration"] == 2 and obj["status"]["updateRevision"] != obj["status"]["currentRevision"])

    await cluster.until_object("StatefulSet", "store", "saw the repair", has_seen_it)
    await asyncio.sleep(1)
    assert len(await _pods_of(cluster, "munbon/web:bad")) == 1
    await cluster.kube.delete(cluster.path("Pod", "store-0"))
    await cluster.until_object("StatefulSet", "store", "is ready", lambda o: o["status"].get("readyReplicas") == 1)
    assert len(await _pods_of(cluster, "munbon/web:good")) == 1


async def test_a_daemon_set_runs_on_the_node(cluster: Cluster) -> None:
    obj = daemon_set()
    obj["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": cluster.kubelet.node_name}
    await cluster.apply(obj)

    def is_ready(each: Obj) -> bool:
        status = each.get("status", {})
        names = ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady")
        return bool(status.get("observedGeneration") == 1 and all(status.get(name) == 1 for name in names))

    await cluster.until_object("DaemonSet", "probe", "is ready", is_ready)


async def test_a_pod_that_fits_no_node_is_unschedulable(cluster: Cluster) -> None:
    obj = deployment()
    obj["spec"]["template"]["spec"]["nodeSelector"] = {"story": "nowhere"}
    await cluster.apply(obj)

    async def is_unschedulable() -> bool:
        return any(condition(pod, "PodScheduled").get("reason") == "Unschedulable" for pod in await cluster.items("Pod"))

    await cluster.until("a pod is unschedulable", is_unschedulable)
