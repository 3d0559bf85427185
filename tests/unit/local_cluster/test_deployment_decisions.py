"""Rolling updates never leave fewer available, nor more pods in all, than the strategy allows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deploy.local_cluster.in_memory.controllers import deployment, job, parts, replica_set

Obj = dict[str, Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_deployment(replicas: int, image: str = "web:2", surge: int | str = "25%", unavailable: int | str = "25%", **spec: Any) -> Obj:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "n", "uid": "d", "generation": 1, "resourceVersion": "1"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template,
            "progressDeadlineSeconds": 600,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
            **spec,
        },
    }


def a_replica_set(owner: Obj, revision: int, replicas: int, available: int) -> Obj:
    made = deployment._new_replica_set(owner, revision, replicas)
    made["metadata"] |= {"uid": f"r{revision}", "creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": str(revision)}
    made["status"] = {"replicas": replicas, "readyReplicas": available, "availableReplicas": available}
    return made


@given(st.integers(1, 8), st.integers(0, 3), st.integers(0, 3), st.data())
def test_a_rollout_stays_within_its_limits_at_every_step(replicas: int, surge: int, unavailable: int, data: st.DataObject) -> None:
    surge = surge or int(unavailable == 0)
    new = a_deployment(replicas, "web:2", surge, unavailable)
    old = a_deployment(replicas, "web:1", surge, unavailable)
    sets = [a_replica_set(old, 1, replicas, replicas)]
    for _ in range(60):
        plan = deployment.decide(new, sets, NOW)
        if plan.create is not None:
            sets.append(a_replica_set(new, 2, plan.create["spec"]["replicas"], 0))
        for each, count in plan.scale:
            each["spec"]["replicas"] = count
            each["status"] = {"replicas": count, "availableReplicas": min(count, each["status"]["availableReplicas"])}
        assert sum(each["spec"]["replicas"] for each in sets) <= replicas + surge
        assert sum(each["status"]["availableReplicas"] for each in sets) >= replicas - unavailable
        fresh = sets[-1]
        if len(sets) == 2:
            most = fresh["spec"]["replicas"]
            fresh["status"] = {"replicas": most, "availableReplicas": data.draw(st.integers(fresh["status"]["availableReplicas"], most))}
    for each in sets[1:]:
        each["status"] = {"replicas": each["spec"]["replicas"], "availableReplicas": each["spec"]["replicas"]}


def test_a_rollout_whose_pods_get_ready_ends_with_the_new_ones_only() -> None:
    new = a_deployment(3)
    sets = [a_replica_set(a_deployment(3, "web:1"), 1, 3, 3)]
    for _ in range(20):
        plan = deployment.decide(new, sets, NOW)
        if plan.create is not None:
            sets.append(a_replica_set(new, 2, plan.create["spec"]["replicas"], 0))
        for each, count in plan.scale:
            each["spec"]["replicas"] = count
        for each in sets:
            count = each["spec"]["replicas"]
            each["status"] = {"replicas": count, "readyReplicas": count, "availableReplicas": count}
        new["status"] = plan.status
    assert [each["spec"]["replicas"] for each in sets] == [0, 3]
    assert parts.condition(new["status"], "Progressing")["reason"] == "NewReplicaSetAvailable"  # type: ignore[index]


def test_a_rollout_without_progress_fails_after_its_deadline_and_not_before() -> None:
    owner = a_deployment(1)
    sets = [a_replica_set(owner, 1, 1, 0)]
    owner["status"] = deployment.decide(owner, sets, NOW).status
    early = deployment.decide(owner, sets, NOW + timedelta(seconds=599))
    assert parts.condition(early.status, "Progressing") == parts.condition(owner["status"], "Progressing")
    assert early.look_again_s is not None
    late = deployment.decide(owner, sets, NOW + timedelta(seconds=602))
    assert parts.condition(late.status, "Progressing")["reason"] == "ProgressDeadlineExceeded"  # type: ignore[index]


def test_old_revisions_are_kept_up_to_the_limit() -> None:
    owner = a_deployment(1, revisionHistoryLimit=1)
    olds = [a_replica_set(a_deployment(1, f"web:old-{number}"), number, 0, 0) for number in (1, 2, 3)]
    plan = deployment.decide(owner, [*olds, a_replica_set(owner, 4, 1, 1)], NOW)
    assert [each["metadata"]["annotations"][deployment.REVISION] for each in plan.remove] == ["1", "2"]


def test_a_paused_deployment_makes_nothing() -> None:
    assert deployment.decide(a_deployment(1, paused=True), [], NOW).create is None


def a_pod(name: str, phase: str = "Running", ready: bool = True, **metadata: Any) -> Obj:
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    return {
        "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "1", **metadata},
        "spec": {"nodeName": "n"},
        "status": {"phase": phase, "conditions": conditions},
    }


def test_a_replica_set_deletes_the_pods_that_are_not_ready_first() -> None:
    owner: Obj = {"metadata": {"generation": 1}, "spec": {"replicas": 1}}
    plan = replica_set.decide(owner, [a_pod("good"), a_pod("bad", ready=False)], NOW)
    assert [pod["metadata"]["name"] for pod in plan.remove] == ["bad"]


def test_a_pod_counts_as_available_only_after_it_was_ready_long_enough() -> None:
    owner: Obj = {"metadata": {"generation": 1}, "spec": {"replicas": 1, "minReadySeconds": 10}}
    early = replica_set.decide(owner, [a_pod("a")], NOW + timedelta(seconds=5))
    assert "availableReplicas" not in early.status
    assert early.look_again_s is not None
    assert replica_set.decide(owner, [a_pod("a")], NOW + timedelta(seconds=11)).status["availableReplicas"] == 1


def test_failed_pods_are_replaced_and_deleting_ones_counted_apart() -> None:
    owner: Obj = {"metadata": {"generation": 1}, "spec": {"replicas": 2}}
    plan = replica_set.decide(owner, [a_pod("f", "Failed", False), a_pod("d", deletionTimestamp="2026-01-01T00:00:00Z"), a_pod("a")], NOW)
    assert (plan.create, plan.status["replicas"], plan.status["terminatingReplicas"]) == (1, 1, 1)


def a_job(**spec: Any) -> Obj:
    return {
        "metadata": {"name": "j"},
        "spec": {"template": {"spec": {"restartPolicy": "Never"}}, "backoffLimit": 2, "parallelism": 1, **spec},
    }


def a_failed_pod(name: str, ended: str) -> Obj:
    pod = a_pod(name, "Failed", False)
    pod["status"]["containerStatuses"] = [{"name": "c", "restartCount": 0, "state": {"terminated": {"exitCode": 1, "finishedAt": ended}}}]
    return pod


def test_the_next_try_of_a_job_waits_longer_after_each_failure() -> None:
    once = [a_failed_pod("a", "2026-01-01T00:00:00Z")]
    assert job.decide(a_job(), once, NOW).look_again_s == 10
    assert job.decide(a_job(), once, NOW + timedelta(seconds=10)).create == 1
    twice = [*once, a_failed_pod("b", "2026-01-01T00:00:10Z")]
    assert job.decide(a_job(), twice, NOW + timedelta(seconds=10)).look_again_s == 20


def test_a_job_fails_when_the_limit_is_passed() -> None:
    pods = [a_failed_pod(name, "2026-01-01T00:00:00Z") for name in "abc"]
    plan = job.decide(a_job(), pods, NOW)
    assert [each["type"] for each in plan.status["conditions"]] == ["FailureTarget", "Failed"]
    assert plan.create == 0
