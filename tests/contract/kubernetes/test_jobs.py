"""Jobs: success, failure, limits, and what stays afterwards."""

from deploy.local_cluster.pod_script import Fails, Succeeds
from tests.contract.kubernetes.manifests import Obj, condition, job
from tests.fixtures_kubernetes import Cluster


async def _ended(cluster: Cluster, kind: str, name: str = "migrate") -> Obj:
    return await cluster.until_object("Job", name, f"is {kind}", lambda o: condition(o, kind).get("status") == "True")


async def test_a_job_completes(cluster: Cluster) -> None:
    await cluster.apply(job())
    live = await _ended(cluster, "Complete")
    assert live["status"]["succeeded"] == 1
    assert live["status"]["startTime"]
    assert live["status"]["completionTime"]
    assert condition(live, "SuccessCriteriaMet")["status"] == "True"
    assert not live["status"].get("active")
    (pod,) = await cluster.items("Pod")
    assert pod["status"]["phase"] == "Succeeded"
    assert pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "migrate"


async def test_a_job_selects_its_pods_by_its_own_uid(cluster: Cluster) -> None:
    live = await cluster.apply(job())
    assert live["spec"]["selector"]["matchLabels"] == {"batch.kubernetes.io/controller-uid": live["metadata"]["uid"]}
    assert live["spec"]["backoffLimit"] == 6
    again = await cluster.apply(job())
    assert again["metadata"]["generation"] == 1


async def test_a_job_that_may_not_fail_fails_at_the_first_pod(cluster: Cluster) -> None:
    cluster.script.change(default=Fails(exit_code=5, last_log="cannot migrate"))
    await cluster.apply(job(backoffLimit=0))
    live = await _ended(cluster, "Failed")
    assert condition(live, "Failed")["reason"] == "BackoffLimitExceeded"
    assert condition(live, "FailureTarget")["status"] == "True"
    assert live["status"]["failed"] == 1
    (pod,) = await cluster.items("Pod")
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (pod["status"]["phase"], ended["exitCode"], ended["message"]) == ("Failed", 5, "cannot migrate")


async def test_a_running_job_is_active(cluster: Cluster) -> None:
    cluster.script.change(default=Succeeds(after_s=3))
    await cluster.apply(job())
    live = await cluster.until_object("Job", "migrate", "is active", lambda o: o.get("status", {}).get("active") == 1)
    assert not condition(live, "Complete")
    await _ended(cluster, "Complete")


async def test_a_container_that_may_restart_restarts_in_its_pod_until_the_limit(cluster: Cluster) -> None:
    cluster.script.change(default=Fails(exit_code=1, restart_delay_s=0.2))
    await cluster.apply(job(restart="OnFailure", backoffLimit=1))
    live = await _ended(cluster, "Failed")
    assert condition(live, "Failed")["reason"] == "BackoffLimitExceeded"


async def test_a_job_runs_out_of_time(cluster: Cluster) -> None:
    cluster.script.change(default=Succeeds(after_s=600))
    await cluster.apply(job(activeDeadlineSeconds=1))
    live = await _ended(cluster, "Failed")
    assert condition(live, "Failed")["reason"] == "DeadlineExceeded"


async def test_a_finished_job_is_removed_after_its_time_to_live(cluster: Cluster) -> None:
    await cluster.apply(job(ttlSecondsAfterFinished=0))
    await cluster.until("the job is gone", lambda: cluster.is_gone("Job", "migrate"))


async def test_a_suspended_job_makes_no_pods(cluster: Cluster) -> None:
    await cluster.apply(job(suspend=True))
    await _ended(cluster, "Suspended")
    assert await cluster.items("Pod") == []
    await cluster.apply(job(suspend=False))
    await _ended(cluster, "Complete")
