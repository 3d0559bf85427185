"""Which cluster the demo runs on, and how to get a better one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deploy.demo.k3s import find_kubeconfig
from deploy.harness.clusters import ClusterKind
from deploy.local_cluster.preflight import best_kind, in_words, lacks
from shared.errors import UsageError

WORDS: dict[ClusterKind, str] = {
    "full": "full nodes: real containerd, kubelet and pods in network namespaces of their own",
    "control_plane": "a real Kubernetes control plane per node; the pods are played by a scripted kubelet",
    "memory": "Kubernetes in memory; the pods are played by a scripted kubelet",
    "k3s": "your own K3s for pi-north (objects of app gate-ui in namespace default, removed at the end); pi-south is in memory",
}

_REAL: tuple[Literal["full", "control_plane"], ...] = ("full", "control_plane")


@dataclass(frozen=True)
class Choice:
    """The kind that was chosen, and what would make it better (empty: nothing is better)."""

    kind: ClusterKind
    better: str = ""


def choose(wanted: str) -> Choice:
    """The best kind that this machine can run, or the wanted one. A user's own K3s is taken only when it is asked for.

    Raises:
        UsageError: it cannot run what was wanted; names why and the remedy.
    """
    if wanted == "auto":
        kind, better = best_kind()
        return Choice(kind, better)
    if wanted == "k3s":
        find_kubeconfig()
        return Choice("k3s")
    if wanted == "memory":
        return Choice("memory")
    for real in _REAL:
        if real == wanted:
            if found := lacks(real):
                raise UsageError(f"CLUSTER={wanted} cannot run here: {in_words(found)}", subject="make demo")
            return Choice(real)
    raise UsageError(f"unknown cluster {wanted!r}", subject="make demo", remedy=f"use CLUSTER= one of auto, {', '.join(WORDS)}")
