"""The fake kubelet's script: which states a container goes through, and what is reported of them."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from deploy.local_cluster.pod_run import PodRun
from deploy.local_cluster.pod_script import (
    OUTCOME_ANNOTATION,
    CrashLoopBackOff,
    Fails,
    ImagePullBackOff,
    Outcome,
    Ready,
    Script,
    Slow,
    Succeeds,
    Unready,
    read_outcome,
    steps,
)
from deploy.local_cluster.pod_status import pod_status

Obj = dict[str, Any]
T0, T1 = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"


def a_pod(image: str = "web:1", policy: str = "Always", **metadata: Any) -> Obj:
    return {
        "metadata": {"name": "p", "namespace": "n", "uid": "u", **metadata},
        "spec": {"containers": [{"name": "web", "image": image}], "restartPolicy": policy},
    }


def reported(pod: Obj, run: PodRun, now: str = T0) -> Obj:
    pod["status"] = pod_status(pod, run.states, now, "10.42.0.1", "127.0.0.1")
    status: Obj = pod["status"]
    return status


def played(outcome: Outcome, until_s: float, policy: str = "Always") -> tuple[Obj, PodRun]:
    """The pod's status after some seconds, reported at each step as the kubelet does."""
    pod = a_pod(policy=policy)
    run = PodRun(pod, Script(outcome), 0.0)
    now_s = 0.0
    while now_s <= until_s:
        if run.advance(now_s):
            reported(pod, run)
        due = run.next_due_s()
        if due is None:
            break
        now_s = max(due, now_s + 0.001)
    return pod["status"], run


def test_a_crash_loop_restarts_at_once_then_waits_twice_as_long_each_time() -> None:
    shown = [
        (round(step.delay_s, 2), step.state.phase, step.state.restart_count)
        for step in islice(steps(CrashLoopBackOff(restart_delay_s=10), "Always", False), 7)
    ]
    assert shown == [
        (0, "terminated", 0),
        (0.05, "terminated", 1),
        (0.05, "waiting", 1),
        (10, "terminated", 2),
        (0.05, "waiting", 2),
        (20, "terminated", 3),
        (0.05, "waiting", 3),
    ]


def test_a_pod_that_never_restarts_ends_after_one_failure() -> None:
    status, _ = played(Fails(exit_code=7, last_log="no disk"), 60, "Never")
    assert status["phase"] == "Failed"
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 7


def test_a_ready_outcome_means_success_for_a_pod_that_must_end() -> None:
    assert played(Ready(), 5, "Never")[0]["phase"] == "Succeeded"


def test_the_message_of_an_end_is_the_log_only_where_the_container_asks_for_it() -> None:
    crash = CrashLoopBackOff(last_log="no route")
    with_log, without = (next(steps(crash, "Always", falls_back)).state.end for falls_back in (True, False))
    assert with_log is not None
    assert without is not None
    assert (with_log.message, without.message) == ("no route", "")


def test_a_crashing_pod_runs_and_names_its_former_end() -> None:
    status, run = played(CrashLoopBackOff(3, "no config", "told", restart_delay_s=10), 1)
    web = status["containerStatuses"][0]
    assert status["phase"] == "Running"
    assert web["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert web["lastState"]["terminated"] == {"exitCode": 3, "reason": "Error", "message": "told", "startedAt": T0, "finishedAt": T0}
    assert run.log("web", previous=True) == "no config\n"


@pytest.mark.parametrize(
    ("outcome", "phase", "ready"),
    [
        (Ready(), "Running", "True"),
        (Unready(), "Running", "False"),
        (ImagePullBackOff("gone"), "Pending", "False"),
        (Slow(60), "Pending", "False"),
        (Succeeds(), "Running", "True"),
    ],
)
def test_phase_and_readiness_of_outcomes(outcome: Outcome, phase: str, ready: str) -> None:
    pod = a_pod()
    run = PodRun(pod, Script(outcome if not isinstance(outcome, Succeeds) else Ready()), 0.0)
    run.advance(1.0)
    status = reported(pod, run)
    assert (status["phase"], next(each["status"] for each in status["conditions"] if each["type"] == "Ready")) == (phase, ready)


def test_a_condition_keeps_its_time_while_it_does_not_change() -> None:
    pod = a_pod()
    run = PodRun(pod, Script(), 0.0)
    run.advance(0.0)
    reported(pod, run, T0)
    assert {each["lastTransitionTime"] for each in reported(pod, run, T1)["conditions"]} == {T0}
    assert pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] == T0


def test_the_annotation_comes_before_labels_before_images() -> None:
    script = Script(Ready(), by_image={"*:1": Unready()}, by_label={"tier=bad": CrashLoopBackOff()})
    container = {"name": "web", "image": "web:1"}
    assert script.outcome(a_pod(), container) == Unready()
    assert script.outcome(a_pod(labels={"tier": "bad"}), container) == CrashLoopBackOff()
    annotated = a_pod(labels={"tier": "bad"}, annotations={OUTCOME_ANNOTATION: '{"outcome": "Fails", "exit_code": 9}'})
    assert script.outcome(annotated, container) == Fails(9)


@pytest.mark.parametrize("text", ["", "Ready", '{"outcome": "Explodes"}', '{"outcome": "Fails", "colour": 1}', "[]"])
def test_an_annotation_that_is_no_outcome_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="use JSON with `outcome` one of Ready"):
        read_outcome(text)


def test_a_changed_script_restarts_the_containers_that_it_speaks_of() -> None:
    pod, script = a_pod(), Script(Ready())
    run = PodRun(pod, script, 0.0)
    run.advance(0.0)
    script.change(default=CrashLoopBackOff())
    run.follow_script(pod, 5.0)
    run.advance(5.0)
    assert run.states["web"].phase == "terminated"
    assert run.states["web"].restart_count == 1


def test_containers_start_after_the_init_containers_ended_well() -> None:
    pod = a_pod()
    pod["spec"]["initContainers"] = [{"name": "one", "image": "init:1"}]
    run = PodRun(pod, Script(by_image={"init:1": Succeeds(after_s=2)}), 0.0)
    run.advance(1.0)
    assert set(run.states) == {"one"}
    assert reported(pod, run)["phase"] == "Pending"
    run.advance(2.0)
    assert reported(pod, run)["phase"] == "Running"


def test_a_stopped_pod_has_ended() -> None:
    pod = a_pod(deletionTimestamp=T0)
    run = PodRun(pod, Script(), 0.0)
    run.advance(0.0)
    run.stop()
    assert reported(pod, run)["phase"] == "Failed"
    assert run.next_due_s() is None
