"""One container of a new pod: does it start, does it stay (kubernetes.md 2.3). The first rule that fits wins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from edge_agent.assess.common import Map, age_s, items, last_line, mapping, metadata, moment, number, spec, status, text

CONFIG_GRACE_S = 10.0
SETTLE_S = 2.0
"""A container without probes counts as ready as soon as it starts, also one that ends a moment later."""
SETTLE_AFTER_CRASH_S = 10.0
FAILURES = 2
"""One bad end is allowed: what it needs may start a moment later."""
_NEVER_STARTS = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_PULL_ERRORS = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError"})
_CONFIG_ERRORS = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreStartHookError", "PostStartHookError"}
)
_WORLD = re.compile(
    r"no such host|timeout|timed out|unreachable|connection re(?:fused|set)|no route to host|temporary failure|server misbehaving|\beof\b"
    r"|too ?many ?requests|no space left|x509|tls:|proxyconnect|502 |503 |504 |dial tcp|context deadline exceeded|context canceled",
    re.IGNORECASE,
)
_RELEASE = re.compile(
    r"not found|manifest unknown|unauthorized|denied|forbidden|does not exist|no match for platform|no matching manifest|invalid reference"
    r"|authentication required|authorization failed|name unknown|401 |403 |404 ",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ContainerFinding:
    """What is wrong with a container. `verdict` as of an object; `pulling`: only its image is missing."""

    verdict: Literal["failed", "progressing"]
    code: str
    message: str
    container: str = ""
    exit_code: int | None = None
    last_log_line: str = ""
    blames: Literal["release", "world", "unknown"] = "release"
    pulling: bool = False


def judge_container(
    pod: Map, container: Map, *, is_init: bool, restarts_matter: bool, log: str, since: datetime, now: datetime
) -> ContainerFinding | None:
    """What is wrong with one container; None when nothing is.

    Args:
        pod: its pod.
        container: its entry in the pod's containerStatuses or initContainerStatuses.
        is_init: whether it is an init container.
        restarts_matter: False for pods of a Job, whose own back-off limit counts their failures.
        log: the end of its log, or empty.
        since: when the release was applied; what ended before is not counted.
        now: wall time.
    """
    waiting = mapping(mapping(container.get("state")).get("waiting"))
    found = _not_starting(pod, container, waiting, now)
    if found is None and restarts_matter:
        found = _crashed(pod, container, is_init=is_init, log=log, since=since, now=now)
    if found is None and is_pulling(pod, container, waiting):
        name = text(container.get("name"))
        found = ContainerFinding("progressing", "Pulling", f"image {text(container.get('image'))} is not there yet", name, pulling=True)
    return found


def termination(container: Map) -> tuple[Map, bool]:
    """How it last ended, and whether that was the run before the present one."""
    current = mapping(mapping(container.get("state")).get("terminated"))
    return (current, False) if current else (mapping(mapping(container.get("lastState")).get("terminated")), True)


def is_pulling(pod: Map, container: Map, waiting: Map) -> bool:
    """Whether its image is on the way: the sandbox stands (so volumes and network do too), and the image has no id yet."""
    if waiting.get("reason") not in ("ContainerCreating", "PodInitializing") or container.get("imageID"):
        return False
    if not _is_its_turn(pod, container):
        return False
    started = next((each for each in items(status(pod).get("conditions")) if each.get("type") == "PodReadyToStartContainers"), None)
    if started is None:  # kubelets before 1.29 do not say
        return bool(status(pod).get("startTime"))
    return started.get("status") == "True"


def _is_its_turn(pod: Map, container: Map) -> bool:
    """Whether all init containers before it have ended well, or run as sidecars."""
    for each in items(status(pod).get("initContainerStatuses")):
        if each.get("name") == container.get("name"):
            return True
        state = mapping(each.get("state"))
        is_done = bool(mapping(state.get("terminated"))) and number(mapping(state.get("terminated")).get("exitCode")) == 0
        is_sidecar = bool(state.get("running")) and each.get("started") is True and _is_sidecar(pod, each.get("name"))
        if not (is_done or is_sidecar):
            return False
    return True


def _is_sidecar(pod: Map, name: object) -> bool:
    return any(each.get("name") == name and each.get("restartPolicy") == "Always" for each in items(spec(pod).get("initContainers")))


def _not_starting(pod: Map, container: Map, waiting: Map, now: datetime) -> ContainerFinding | None:
    reason, message, name = text(waiting.get("reason")), text(waiting.get("message")), text(container.get("name"))
    image = text(container.get("image"))
    if reason in _NEVER_STARTS:
        return ContainerFinding("failed", reason, message or f"image {image}", name)
    if reason in _PULL_ERRORS:
        shown = f"image {image}: {message or reason}"
        if not _WORLD.search(message) and _RELEASE.search(message):
            return ContainerFinding("failed", "ImagePullBackOff", shown, name)
        return ContainerFinding("progressing", "ImagePullBackOff", shown, name, blames="world", pulling=True)
    if reason in _CONFIG_ERRORS:
        old_enough = age_s(status(pod).get("startTime") or metadata(pod).get("creationTimestamp"), now) >= CONFIG_GRACE_S
        return ContainerFinding("failed" if old_enough else "progressing", reason, message or reason, name)
    return None


def _crashed(pod: Map, container: Map, *, is_init: bool, log: str, since: datetime, now: datetime) -> ContainerFinding | None:
    ended, _ = termination(container)
    waiting = text(mapping(mapping(container.get("state")).get("waiting")).get("reason"))
    is_looping = waiting == "CrashLoopBackOff"
    if not ended or (number(ended.get("exitCode")) == 0 and not is_looping):
        return None
    if not is_looping and not _is_recent(pod, ended, since):
        return None
    failures = _failures(container, is_looping)
    killed = ended.get("reason") == "OOMKilled"
    never = spec(pod).get("restartPolicy") == "Never"
    over = killed or is_looping or never or failures >= FAILURES
    if not over and _is_running_well(container, now, SETTLE_AFTER_CRASH_S):
        return None
    name, code = text(container.get("name")), number(ended.get("exitCode"))
    line = last_line(ended.get("message")) or last_line(log)
    word = "OOMKilled" if killed else "InitContainerFailed" if is_init and never else "ContainerFailed" if never else "CrashLoopBackOff"
    what = "init container" if is_init else "container"
    times = "once" if failures == 1 else f"{failures} times"
    shown = f"{what} {name} ended {times}, last with exit code {code}" + (f": {line}" if line else "")
    return ContainerFinding("failed" if over else "progressing", word, shown, name, code, line)


def _failures(container: Map, is_looping: bool) -> int:
    """Bad ends so far: every restart follows one, and the present end has not been followed by a restart."""
    ended_now = bool(mapping(container.get("state")).get("terminated"))
    return max(1, number(container.get("restartCount")) + (1 if ended_now or is_looping else 0))


def _is_recent(pod: Map, ended: Map, since: datetime) -> bool:
    """Whether this end speaks of the release: its pod is newer, or it happened since (kubelet's times have whole seconds)."""
    start = since.replace(microsecond=0)
    created, finished = moment(metadata(pod).get("creationTimestamp")), moment(ended.get("finishedAt"))
    return any(then is not None and then >= start for then in (created, finished)) or (created is None and finished is None)


def _is_running_well(container: Map, now: datetime, for_s: float) -> bool:
    running = mapping(mapping(container.get("state")).get("running"))
    return bool(running) and age_s(running.get("startedAt"), now) >= for_s


def is_settled(container: Map, described: Mapping[str, Any], now: datetime) -> bool:
    """Whether a running container may be believed: by its own probes, else after a moment of running."""
    if described.get("readinessProbe") or described.get("startupProbe"):
        return True
    return not mapping(container.get("state")).get("running") or _is_running_well(container, now, SETTLE_S)
