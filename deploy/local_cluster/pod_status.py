"""The status of a pod from the states of its containers, as a kubelet writes it. Pure."""

from __future__ import annotations

from typing import Any

from deploy.local_cluster.pod_script import ContainerState, End

Pod = dict[str, Any]


def pod_status(pod: Pod, states: dict[str, ContainerState], now: str, pod_ip: str, host_ip: str) -> dict[str, Any]:
    """The ``status`` to write. ``now`` is RFC 3339; ``states`` are by container name, of those that have begun."""
    spec, before = pod["spec"], pod.get("status") or {}
    inits = spec.get("initContainers") or []
    phase = pod_phase(pod, states)
    initialised = all(
        (state := states.get(each["name"])) is not None
        and state.phase == "terminated"
        and state.end is not None
        and state.end.exit_code == 0
        for each in inits
    )
    mains = [states.get(each["name"]) for each in spec["containers"]]
    ready = phase == "Running" and all(state is not None and state.ready for state in mains)
    unready = [each["name"] for each, state in zip(spec["containers"], mains, strict=True) if state is None or not state.ready]
    why = (
        "PodCompleted" if phase == "Succeeded" else "PodFailed" if phase == "Failed" else "ContainersNotReady",
        f"containers with unready status: [{' '.join(unready)}]",
    )
    old = {each["type"]: each for each in before.get("conditions") or ()}
    started = phase != "Pending" or initialised
    conditions = [
        _condition(old, "PodReadyToStartContainers", True, now),
        _condition(old, "Initialized", initialised, now, "" if initialised else "ContainersNotInitialized"),
        _condition(old, "Ready", ready, now, *(("", "") if ready else why)),
        _condition(old, "ContainersReady", ready, now, *(("", "") if ready else why)),
        old.get("PodScheduled") or _condition(old, "PodScheduled", True, now),
    ]
    status: dict[str, Any] = {
        "phase": phase,
        "conditions": conditions,
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "podIP": pod_ip,
        "podIPs": [{"ip": pod_ip}],
        "startTime": before.get("startTime") or now,
        "containerStatuses": [
            _container_status(each, states.get(each["name"]), before, "containerStatuses", now, started) for each in spec["containers"]
        ],
        "qosClass": before.get("qosClass") or "BestEffort",
    }
    if pod["metadata"].get("generation"):
        status["observedGeneration"] = pod["metadata"]["generation"]
    if inits:
        status["initContainerStatuses"] = [
            _container_status(each, states.get(each["name"]), before, "initContainerStatuses", now, True) for each in inits
        ]
    return status


def pod_phase(pod: Pod, states: dict[str, ContainerState]) -> str:
    """Phase by Kubernetes' rules: ended containers count as ended only where nobody restarts them."""
    spec = pod["spec"]
    policy = spec.get("restartPolicy", "Always")
    for each in spec.get("initContainers") or ():
        state = states.get(each["name"])
        if state is None or state.phase != "terminated" or state.end is None or state.end.exit_code != 0:
            failed = state is not None and state.phase == "terminated" and policy == "Never"
            return "Failed" if failed else "Pending"
    mains = [states.get(each["name"]) for each in spec["containers"]]
    if pod["metadata"].get("deletionTimestamp") and all(state is not None and state.phase == "terminated" for state in mains):
        return "Failed" if any(state is not None and state.end is not None and state.end.exit_code for state in mains) else "Succeeded"
    if policy != "Always" and all(state is not None and state.phase == "terminated" for state in mains):
        failed = any(state is not None and state.end is not None and state.end.exit_code for state in mains)
        if not failed:
            return "Succeeded"
        return "Failed" if policy == "Never" else "Running"
    has_begun = all(state is not None and (state.phase != "waiting" or state.end is not None) for state in mains)
    return "Running" if has_begun else "Pending"


def _condition(old: dict[str, Any], kind: str, value: bool, now: str, reason: str = "", message: str = "") -> dict[str, Any]:
    status = str(value)
    before = old.get(kind) or {}
    result = {"type": kind, "status": status, "lastTransitionTime": before["lastTransitionTime"] if before.get("status") == status else now}
    if reason:
        result["reason"] = reason
    if message:
        result["message"] = message
    return result


def _container_status(
    container: dict[str, Any], state: ContainerState | None, before: dict[str, Any], part: str, now: str, started: bool
) -> dict[str, Any]:
    image = container.get("image", "")
    if state is None:
        reason = "ContainerCreating" if started else "PodInitializing"
        state = ContainerState("waiting", reason, pulled=False)
    old: dict[str, Any] = next((each for each in before.get(part) or () if each["name"] == container["name"]), {})
    status: dict[str, Any] = {
        "name": container["name"],
        "image": image,
        "imageID": f"fake://{image}" if state.pulled else "",
        "ready": state.ready,
        "restartCount": state.restart_count,
        "started": state.phase == "running",
        "state": _state(state, old, now),
        "lastState": {},
    }
    if state.pulled:
        status["containerID"] = f"fake://{container['name']}-{state.restart_count}"
    if state.phase != "terminated" and state.end is not None:
        status["lastState"] = {"terminated": _last(old, state.end, now)}
    elif state.phase == "terminated" and state.restart_count and (old.get("lastState") or {}).get("terminated"):
        status["lastState"] = old["lastState"]
    return status


def _state(state: ContainerState, old: dict[str, Any], now: str) -> dict[str, Any]:
    before = old.get("state") or {}
    if state.phase == "waiting":
        shown = {"reason": state.reason}
        if state.message:
            shown["message"] = state.message
        return {"waiting": shown}
    same = old.get("restartCount") == state.restart_count
    if state.phase == "running":
        running = before.get("running") if same else None
        return {"running": running or {"startedAt": now}}
    terminated = before.get("terminated") if same else None
    started = (before.get("running") or {}).get("startedAt") or now
    end = state.end or End(0, "Completed")
    return {"terminated": terminated if terminated and terminated.get("exitCode") == end.exit_code else _terminated(end, started, now)}


def _last(old: dict[str, Any], end: End, now: str) -> dict[str, Any]:
    """The former end: as it was reported, where it was reported."""
    just = (old.get("state") or {}).get("terminated")
    known = just or (old.get("lastState") or {}).get("terminated")
    if known and known.get("exitCode") == end.exit_code and known.get("reason") == end.reason:
        return dict(known)
    return _terminated(end, now, now)


def _terminated(end: End, started: str, now: str) -> dict[str, Any]:
    result: dict[str, Any] = {"exitCode": end.exit_code, "reason": end.reason, "startedAt": started, "finishedAt": now}
    if end.message:
        result["message"] = end.message[-2048:]
    return result
