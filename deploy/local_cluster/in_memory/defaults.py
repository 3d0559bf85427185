"""Fields that the API server fills in. Works in place on a fresh copy of an object; reads no clock."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from deploy.local_cluster.in_memory.schema import ANY, Type

Obj = dict[str, Any]
_RBAC = "rbac.authorization.k8s.io"


def clone(value: Any) -> Any:
    """A deep copy of JSON data."""
    if isinstance(value, dict):
        return {key: clone(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [clone(inner) for inner in value]
    return value


def decoded(value: Any, kind: Type) -> Any:
    """A deep copy as decoding into a typed object leaves it: no nulls; of built-in kinds no empty lists and maps either."""
    if isinstance(value, dict):
        result = {}
        for key, inner in value.items():
            child = kind.child(key) or ANY
            if inner is not None and (inner or kind.pruned or not _vanishes_empty(inner, child)):
                result[key] = decoded(inner, child) if isinstance(inner, dict | list) else inner
        return result
    if isinstance(value, list):
        element = kind.element or ANY
        return [decoded(inner, element) for inner in value]
    return value


def _vanishes_empty(value: Any, kind: Type) -> bool:
    return (kind.shape == "list" and value == []) or (kind.shape == "map" and kind.element is not None and value == {})


def fill(obj: Obj, kind: Type) -> None:
    """Fill in the defaults of ``obj``, in place."""
    _fill_declared(obj, kind)
    rule = _RULES.get(obj["kind"]) if not kind.pruned else None
    if rule is not None:
        rule(obj)


def _fill_declared(value: Any, kind: Type) -> None:
    """Defaults that the schema declares."""
    if isinstance(value, dict) and kind.shape == "map":
        for key, child in kind.fields.items():
            if child.default is not None and key not in value:
                value[key] = clone(child.default)
        for key, inner in value.items():
            if isinstance(inner, dict | list):
                below = kind.child(key)
                if below is not None and key != "metadata":
                    _fill_declared(inner, below)
    elif isinstance(value, list) and kind.element is not None:
        for item in value:
            _fill_declared(item, kind.element)


def _set(target: Obj, **values: Any) -> None:
    for key, value in values.items():
        target.setdefault(key, value)


def _pull_policy(image: str) -> str:
    if "@" in image:
        return "IfNotPresent"
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def _container(container: Obj) -> None:
    _set(
        container,
        imagePullPolicy=_pull_policy(container.get("image", "")),
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        resources={},
    )
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is not None:
            _set(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            if "httpGet" in probe:
                _set(probe["httpGet"], scheme="HTTP", path="/")
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            _set(reference, apiVersion="v1")


def _volume(volume: Obj) -> None:
    if len(volume) == 1:
        volume["emptyDir"] = {}
    for source in ("configMap", "secret", "projected", "downwardAPI"):
        if isinstance(volume.get(source), dict):
            _set(volume[source], defaultMode=420)
    if isinstance(volume.get("hostPath"), dict):
        _set(volume["hostPath"], type="")


def _pod_spec(spec: Obj) -> None:
    _set(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    for container in (spec.get("containers") or []) + (spec.get("initContainers") or []):
        _container(container)
    for volume in spec.get("volumes") or ():
        _volume(volume)


def _template(spec: Obj) -> None:
    template = spec.get("template")
    if isinstance(template, dict) and isinstance(template.get("spec"), dict):
        _pod_spec(template["spec"])


def _deployment(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _set(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.setdefault("strategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy.setdefault("rollingUpdate", {}), maxUnavailable="25%", maxSurge="25%")
    _template(spec)


def _replica_set(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _set(spec, replicas=1)
    _template(spec)


def _stateful_set(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _set(
        spec,
        replicas=1,
        podManagementPolicy="OrderedReady",
        revisionHistoryLimit=10,
        persistentVolumeClaimRetentionPolicy={"whenDeleted": "Retain", "whenScaled": "Retain"},
    )
    strategy = spec.setdefault("updateStrategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy.setdefault("rollingUpdate", {}), partition=0)
    _template(spec)


def _daemon_set(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _set(spec, revisionHistoryLimit=10)
    strategy = spec.setdefault("updateStrategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy.setdefault("rollingUpdate", {}), maxSurge=0, maxUnavailable=1)
    _template(spec)


def _job_spec(spec: Obj) -> None:
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    _set(
        spec,
        parallelism=1,
        backoffLimit=6,
        completionMode="NonIndexed",
        suspend=False,
        manualSelector=False,
        podReplacementPolicy="TerminatingOrFailed",
    )
    _template(spec)


def _job(obj: Obj) -> None:
    _job_spec(obj.setdefault("spec", {}))


def _cron_job(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _set(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    job = spec.get("jobTemplate", {}).get("spec")
    if isinstance(job, dict):
        _template(job)


def _service(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _set(spec, type="ClusterIP", sessionAffinity="None")
    if spec["type"] != "ExternalName":
        _set(spec, internalTrafficPolicy="Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _set(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _set(spec, allocateLoadBalancerNodePorts=True)
    for port in spec.get("ports") or ():
        _set(port, protocol="TCP", targetPort=port.get("port"))


def _secret(obj: Obj) -> None:
    _set(obj, type="Opaque")
    written = obj.pop("stringData", None)
    if written:
        data = obj.setdefault("data", {})
        for key, value in written.items():
            data[key] = base64.b64encode(str(value).encode()).decode()


def _namespace(obj: Obj) -> None:
    obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
    _set(obj.setdefault("spec", {}), finalizers=["kubernetes"])
    _set(obj.setdefault("status", {}), phase="Active")


def _claim(obj: Obj) -> None:
    _set(obj.setdefault("spec", {}), volumeMode="Filesystem")
    _set(obj.setdefault("status", {}), phase="Pending")


def _binding(obj: Obj) -> None:
    _set(obj.setdefault("roleRef", {}), apiGroup=_RBAC)
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            _set(subject, apiGroup=_RBAC)


def _crd(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    names = spec.setdefault("names", {})
    if "kind" in names:
        _set(names, singular=names["kind"].lower(), listKind=names["kind"] + "List")
    _set(spec, conversion={"strategy": "None"})


def _pod(obj: Obj) -> None:
    _pod_spec(obj.setdefault("spec", {}))
    _set(obj["spec"], enableServiceLinks=True)
    _set(obj.setdefault("status", {}), phase="Pending")


def _network_policy(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _set(spec, policyTypes=["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])


def _storage_class(obj: Obj) -> None:
    _set(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def _priority_class(obj: Obj) -> None:
    _set(obj, preemptionPolicy="PreemptLowerPriority")


def _autoscaler(obj: Obj) -> None:
    _set(obj.setdefault("spec", {}), minReplicas=1)


def _ingress(obj: Obj) -> None:
    _set(obj.setdefault("status", {}), loadBalancer={})


_RULES: dict[str, Callable[[Obj], None]] = {
    "Pod": _pod,
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "CronJob": _cron_job,
    "Service": _service,
    "Secret": _secret,
    "Namespace": _namespace,
    "PersistentVolumeClaim": _claim,
    "RoleBinding": _binding,
    "ClusterRoleBinding": _binding,
    "CustomResourceDefinition": _crd,
    "NetworkPolicy": _network_policy,
    "StorageClass": _storage_class,
    "PriorityClass": _priority_class,
    "HorizontalPodAutoscaler": _autoscaler,
    "Ingress": _ingress,
}
