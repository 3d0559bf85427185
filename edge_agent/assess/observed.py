"""What is judged, as `observe` read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_agent.model import Manifest
from shared.contracts.event import ObjectRef

LogKey = tuple[str, str, str]
"""Namespace, pod, container."""


@dataclass(frozen=True)
class Observed:
    """Live objects of a render; an object that is not there is not in `live`.

    `pods` and `owners` (ReplicaSets, ControllerRevisions) are of the namespaces of workloads that are not ready; `spent` are Jobs
    that ran and were removed by their own time to live; `late_binding` names the storage classes that bind at first use; `logs`
    holds the ends of logs of crashed containers; `warnings` the newest warning event (reason, message) of pods that wait for volumes
    or a network, by UID.
    """

    live: Mapping[ObjectRef, Manifest] = field(default_factory=dict)
    pods: tuple[Manifest, ...] = ()
    owners: tuple[Manifest, ...] = ()
    spent: frozenset[ObjectRef] = frozenset()
    late_binding: frozenset[str] = frozenset()
    logs: Mapping[LogKey, str] = field(default_factory=dict)
    warnings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
