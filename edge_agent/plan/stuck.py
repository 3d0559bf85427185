"""Which pods of a StatefulSet hold up its newest revision for ever."""

from __future__ import annotations

from collections.abc import Iterable

from edge_agent.model import Manifest
from edge_agent.plan.access import is_terminating, items, labels_of, mapping, metadata, text, uid

_HASH = "controller-revision-hash"


def is_observed(stateful_set: Manifest) -> bool:
    """Whether its controller has seen the newest spec."""
    return mapping(stateful_set.get("status")).get("observedGeneration") == metadata(stateful_set).get("generation")


def may_have_stuck_pods(stateful_set: Manifest) -> bool:
    """Whether some pod is outdated or not ready; only rolling updates in order can be stuck."""
    spec, seen = mapping(stateful_set.get("spec")), mapping(stateful_set.get("status"))
    if mapping(spec.get("updateStrategy")).get("type") == "OnDelete" or spec.get("podManagementPolicy") == "Parallel":
        return False
    replicas = seen.get("replicas") or 0
    return bool(seen.get("updateRevision")) and (
        (seen.get("updatedReplicas") or 0) != replicas or (seen.get("readyReplicas") or 0) != replicas
    )


def stuck_pods(stateful_set: Manifest, pods: Iterable[Manifest]) -> list[Manifest]:
    """Pods of this StatefulSet, of another revision than the newest, not ready, and not held back by a partition."""
    revision = text(mapping(stateful_set.get("status")).get("updateRevision"))
    strategy = mapping(mapping(stateful_set.get("spec")).get("updateStrategy"))
    partition = mapping(strategy.get("rollingUpdate")).get("partition")
    first_due = partition if isinstance(partition, int) else 0
    return [pod for pod in pods if revision and _is_owned(stateful_set, pod) and _is_stuck(pod, revision) and _ordinal(pod) >= first_due]


def _is_owned(stateful_set: Manifest, pod: Manifest) -> bool:
    owner = uid(stateful_set)
    return bool(owner) and any(mark.get("uid") == owner for mark in items(metadata(pod).get("ownerReferences")))


def _is_stuck(pod: Manifest, revision: str) -> bool:
    conditions = items(mapping(pod.get("status")).get("conditions"))
    is_ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
    return not is_ready and not is_terminating(pod) and text(labels_of(pod).get(_HASH)) not in ("", revision)


def _ordinal(pod: Manifest) -> int:
    digits = text(metadata(pod).get("name")).rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdecimal() else 0
