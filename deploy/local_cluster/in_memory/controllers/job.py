"""Job to pods, to Complete or Failed. ``decide`` is pure; ``sync`` carries it out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from deploy.local_cluster.in_memory.controllers import parts
from deploy.local_cluster.in_memory.controllers.parts import Hands
from deploy.local_cluster.in_memory.storage import Key, Obj

_JOBS = "jobs.batch"
_FIRST_BACKOFF_S = 10.0
_LONGEST_BACKOFF_S = 360.0


@dataclass
class Plan:
    """What is to be written for one Job."""

    create: int = 0
    remove: list[Obj] = field(default_factory=list)
    status: Obj = field(default_factory=dict)
    look_again_s: float | None = None
    remove_job: bool = False


def sync(hands: Hands, key: Key) -> None:
    """Make or delete pods, and write the status."""
    job = hands.store.get(_JOBS, key)
    if job is None or parts.is_deleting(job):
        return
    plan = decide(job, parts.owned(hands.store.all("pods", key[0]), job), hands.now())
    if plan.remove_job:
        hands.delete(job)
        return
    for _ in range(plan.create):
        hands.create(parts.pod_from(job["spec"]["template"], job, {"generateName": key[1] + "-"}, {}))
    for pod in plan.remove:
        hands.delete(pod)
    hands.set_status(job, plan.status)
    if plan.look_again_s is not None:
        hands.again("job", key, plan.look_again_s)


def decide(job: Obj, pods: list[Obj], now: datetime) -> Plan:
    """Run pods until enough succeeded, or too many failed, or the time is over."""
    spec, before = job["spec"], job.get("status") or {}
    finished = parts.condition(before, "Complete") or parts.condition(before, "Failed")
    if finished is not None and finished["status"] == "True":
        return _after_the_end(job, before, finished, now)
    plan = Plan()
    active = [pod for pod in pods if parts.is_active(pod)]
    succeeded = max(int(before.get("succeeded", 0)), sum(1 for pod in pods if parts.phase(pod) == "Succeeded"))
    failed = max(int(before.get("failed", 0)), sum(1 for pod in pods if parts.phase(pod) == "Failed"))
    conditions = list(before.get("conditions") or [])
    started = before.get("startTime") or parts.written_time(now)
    wanted = int(spec.get("completions") or 1)
    failure = _failure(job, pods, failed, started, now)
    if failure is not None:
        plan.remove = active
        conditions += [_condition("FailureTarget", *failure, now), _condition("Failed", *failure, now)]
        active = []
    elif succeeded >= wanted:
        reason, message = "CompletionsReached", "Reached expected number of succeeded pods"
        conditions += [_condition("SuccessCriteriaMet", reason, message, now), _condition("Complete", reason, message, now)]
        plan.remove = active
        active = []
    elif spec.get("suspend"):
        plan.remove, active = active, []
        conditions = parts.with_condition(conditions, _condition("Suspended", "JobSuspended", "Job suspended", now))
    else:
        _run_more(plan, job, active, pods, wanted - succeeded, failed, now)
    counters = {"active": len(active) + plan.create, "succeeded": succeeded, "failed": failed}
    plan.status = {
        "startTime": started,
        "uncountedTerminatedPods": {},
        "terminating": sum(1 for pod in pods if parts.is_deleting(pod)),
        "ready": sum(1 for pod in active if parts.ready_since(pod) is not None),
        **{name: count for name, count in counters.items() if count},
    }
    if conditions:
        plan.status["conditions"] = conditions
    if any(each["type"] == "Complete" for each in conditions):
        plan.status["completionTime"] = parts.written_time(now)
    _look_at_deadline(plan, spec, started, now)
    return plan


def _run_more(plan: Plan, job: Obj, active: list[Obj], pods: list[Obj], missing: int, failed: int, now: datetime) -> None:
    count = min(int(job["spec"].get("parallelism", 1)), missing) - len(active)
    if count < 0:
        plan.remove = active[count:]
        return
    wait_s = _backoff_s(pods, failed, now) if failed else 0.0
    if count and wait_s > 0:
        plan.look_again_s = wait_s
        return
    plan.create = count


def _backoff_s(pods: list[Obj], failed: int, now: datetime) -> float:
    """How long the next pod waits: twice as long after each failure, counted from the last one's end."""
    ends = []
    for pod in pods:
        for status in (pod.get("status") or {}).get("containerStatuses") or ():
            ended = ((status.get("state") or {}).get("terminated") or {}).get("finishedAt")
            if parts.phase(pod) == "Failed" and ended:
                ends.append(parts.read_time(ended))
    delay_s = min(_FIRST_BACKOFF_S * 2 ** (failed - 1), _LONGEST_BACKOFF_S)
    return delay_s - (now - max(ends)).total_seconds() if ends else 0.0


def _failure(job: Obj, pods: list[Obj], failed: int, started: str, now: datetime) -> tuple[str, str] | None:
    spec = job["spec"]
    statuses = [status for pod in pods for status in (pod.get("status") or {}).get("containerStatuses") or ()]
    restarts = sum(int(status.get("restartCount", 0)) for status in statuses)
    on_failure = spec["template"]["spec"].get("restartPolicy") == "OnFailure"
    limit = int(spec.get("backoffLimit", 6))
    if failed > limit or (on_failure and restarts > 0 and restarts >= limit):
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    deadline_s = spec.get("activeDeadlineSeconds")
    if deadline_s is not None and (now - parts.read_time(started)).total_seconds() >= deadline_s:
        return "DeadlineExceeded", "Job was active longer than specified deadline"
    return None


def _condition(kind: str, reason: str, message: str, now: datetime) -> Obj:
    text = parts.written_time(now)
    return {"type": kind, "status": "True", "reason": reason, "message": message, "lastProbeTime": text, "lastTransitionTime": text}


def _look_at_deadline(plan: Plan, spec: Obj, started: str, now: datetime) -> None:
    if spec.get("activeDeadlineSeconds") is None:
        return
    left_s = float(spec["activeDeadlineSeconds"]) - (now - parts.read_time(started)).total_seconds()
    if left_s > 0:
        plan.look_again_s = min(left_s + 1.0, plan.look_again_s or left_s + 1.0)


def _after_the_end(job: Obj, status: Obj, finished: Obj, now: datetime) -> Plan:
    keep_s = job["spec"].get("ttlSecondsAfterFinished")
    plan = Plan(status=status)
    if keep_s is None:
        return plan
    left_s = float(keep_s) - (now - parts.read_time(finished["lastTransitionTime"])).total_seconds()
    plan.remove_job = left_s <= 0
    plan.look_again_s = None if plan.remove_job else left_s + 0.1
    return plan
