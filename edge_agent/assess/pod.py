"""Pods: the early failures of new revisions (kubernetes.md 2.3), and pods that a release names itself (2.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from edge_agent.assess.common import (
    Map,
    age_s,
    cause,
    condition,
    failed,
    is_true,
    items,
    last_line,
    mapping,
    metadata,
    moment,
    number,
    progressing,
    ready,
    spec,
    status,
    text,
)
from edge_agent.assess.container import CONFIG_GRACE_S, ContainerFinding, is_settled, judge_container, termination
from edge_agent.assess.observed import LogKey, Observed
from edge_agent.model import ObjectHealth, Verdict
from shared.contracts.event import ObjectRef

UNSCHEDULABLE_GRACE_S = 15.0
_MISSING = re.compile(r"(configmap|secret)s? .*not found|references non-existent", re.IGNORECASE)
_WORLD_SCHEDULING = re.compile(
    r"untolerated taint|node\(s\) were unschedulable|unbound immediate|no nodes available|disk-pressure|not-ready", re.IGNORECASE
)


@dataclass(frozen=True)
class PodsJudgement:
    """What the pods of one workload come to; `health` is None when they have nothing to say against it."""

    health: ObjectHealth | None = None
    images_ready: bool = True


def judge_pods(
    ref: ObjectRef,
    pods: Sequence[Map],
    observed: Observed,
    *,
    since: datetime,
    now: datetime,
    replacing: bool = False,
) -> PodsJudgement:
    """The worst that new pods of a workload show.

    Args:
        ref: the workload, named in the cause.
        pods: of its newest revision.
        observed: ends of logs, and warnings.
        since: when the release was applied.
        now: wall time.
        replacing: whether old pods are still going.
    """
    worst: ObjectHealth | None = None
    images_ready = True
    for pod in pods:
        own = (_scheduling(pod, now, replacing=replacing), _setting_up(pod, observed, now))
        for found in (*own, *_containers(ref, pod, observed.logs, since, now)):
            if found is None:
                continue
            images_ready = images_ready and not found.pulling
            health = _health(ref, pod, found)
            if worst is None or (health.verdict is Verdict.FAILED and worst.verdict is not Verdict.FAILED):
                worst = health
    return PodsJudgement(worst, images_ready)


def assess_pod(ref: ObjectRef, pod: Map) -> ObjectHealth:
    """A pod of the release itself, after its containers had nothing to say. A Failed pod fails (kstatus calls it current)."""
    phase = text(status(pod).get("phase"))
    if phase == "Succeeded":
        return ready(ref, "has ended well")
    if phase == "Failed":
        message = text(status(pod).get("message")) or text(status(pod).get("reason")) or "has ended badly"
        return failed(ref, cause(text(status(pod).get("reason")) or "PodFailed", message, ref, pod=text(metadata(pod).get("name"))))
    return ready(ref) if is_true(condition(pod, "Ready")) else progressing(ref, f"is {phase or 'Pending'} and not ready")


def container_entries(pod: Map) -> list[tuple[Map, bool]]:
    """Statuses of all containers, and whether each is an init container."""
    seen = status(pod)
    return [
        *((each, True) for each in items(seen.get("initContainerStatuses"))),
        *((each, False) for each in items(seen.get("containerStatuses"))),
    ]


def logs_wanted(pods: Sequence[Map]) -> list[tuple[LogKey, bool]]:
    """Containers that ended badly and left no message, and whether the log of the run before is meant."""
    wanted = []
    for pod in pods:
        for container, _ in container_entries(pod):
            ended, is_previous = termination(container)
            if (
                ended
                and (number(ended.get("exitCode")) != 0 or number(container.get("restartCount")))
                and not text(ended.get("message")).strip()
            ):
                key = (text(metadata(pod).get("namespace")), text(metadata(pod).get("name")), text(container.get("name")))
                wanted.append((key, is_previous))
    return wanted


def waits_for_set_up(pod: Map) -> bool:
    """Whether it is on its node, and its volumes or network are not there yet; only an event says why."""
    started = condition(pod, "PodReadyToStartContainers")
    waits = [each for each, _ in container_entries(pod) if mapping(mapping(each.get("state")).get("waiting"))]
    return started.get("status") == "False" and bool(waits)


def with_last_end(health: ObjectHealth, pods: Sequence[Map], logs: Mapping[LogKey, str]) -> ObjectHealth:
    """A failed Job's health with the container that ended badly last: the Job itself only counts."""
    ends = [
        (text(ended.get("finishedAt")), pod, container, ended)
        for pod in pods
        for container, _ in container_entries(pod)
        if (ended := termination(container)[0]) and number(ended.get("exitCode")) != 0
    ]
    if not ends or health.cause is None:
        return health
    _, pod, container, ended = max(ends, key=lambda end: end[0])
    name, pod_name = text(container.get("name")), text(metadata(pod).get("name"))
    line = last_line(ended.get("message")) or logs.get((text(metadata(pod).get("namespace")), pod_name, name), "")
    found = {"pod": pod_name, "container": name, "exit_code": number(ended.get("exitCode")), "last_log_line": line}
    return replace(health, cause=health.cause.model_copy(update=found))


def _scheduling(pod: Map, now: datetime, *, replacing: bool) -> ContainerFinding | None:
    found = condition(pod, "PodScheduled")
    if found.get("status") != "False" or found.get("reason") != "Unschedulable":
        return None
    message = text(found.get("message")) or "no node takes the pod"
    if _WORLD_SCHEDULING.search(message):
        return ContainerFinding("progressing", "Unschedulable", message, blames="world")
    since = found.get("lastTransitionTime") or metadata(pod).get("creationTimestamp")
    waits = replacing or age_s(since, now) < UNSCHEDULABLE_GRACE_S
    return ContainerFinding("progressing" if waits else "failed", "Unschedulable", message)


def _setting_up(pod: Map, observed: Observed, now: datetime) -> ContainerFinding | None:
    """A volume that cannot be mounted; what it needs and nobody brings fails the release, as a missing ConfigMap of a variable does."""
    reason, message = observed.warnings.get(text(metadata(pod).get("uid")), ("", ""))
    if not reason or not waits_for_set_up(pod):
        return None
    if reason != "FailedMount" or not _MISSING.search(message):
        return ContainerFinding("progressing", reason, message, blames="unknown")
    is_over = age_s(status(pod).get("startTime") or metadata(pod).get("creationTimestamp"), now) >= CONFIG_GRACE_S
    return ContainerFinding("failed" if is_over else "progressing", reason, message)


def _containers(ref: ObjectRef, pod: Map, logs: Mapping[LogKey, str], since: datetime, now: datetime) -> list[ContainerFinding | None]:
    restarts_matter = (ref.group, ref.kind) != ("batch", "Job")
    namespace, name = text(metadata(pod).get("namespace")), text(metadata(pod).get("name"))
    is_fresh = (moment(metadata(pod).get("creationTimestamp")) or now) >= since.replace(microsecond=0)
    described = {text(each.get("name")): each for each in items(spec(pod).get("containers"))}
    findings: list[ContainerFinding | None] = []
    for container, is_init in container_entries(pod):
        key = (namespace, name, text(container.get("name")))
        found = judge_container(
            pod, container, is_init=is_init, restarts_matter=restarts_matter, log=logs.get(key, ""), since=since, now=now
        )
        if found is None and restarts_matter and is_fresh and not is_init and not is_settled(container, described.get(key[2], {}), now):
            found = ContainerFinding("progressing", "Settling", f"container {key[2]} has just started", key[2])
        findings.append(found)
    return findings


def _health(ref: ObjectRef, pod: Map, found: ContainerFinding) -> ObjectHealth:
    why = cause(
        found.code,
        found.message,
        ref,
        pod=text(metadata(pod).get("name")),
        container=found.container,
        exit_code=found.exit_code,
        last_log_line=found.last_log_line,
        blames=found.blames,
    )
    if found.verdict == "failed":
        return failed(ref, why)
    return progressing(ref, found.message, None if found.code in ("Pulling", "Settling") else why)
