"""The contract suite runs on the in-memory cluster always, and on the real control plane where it can be built: the real one judges."""

from tests.fixtures_kubernetes import cluster, control_plane_kubeconfig

__all__ = ["cluster", "control_plane_kubeconfig"]
