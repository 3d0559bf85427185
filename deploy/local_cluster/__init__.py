"""Real Kubernetes for tests and the demo, on one machine, built from source.

Takes: a name; for `control_plane` nothing else, for `full_node` root and a few Debian packages.
Gives: `async with control_plane() as cluster`, `async with full_node(name) as cluster`: a `ClusterHandle`.
May import: `shared`, `deploy.harness`, `deploy.make`, aiohttp, cryptography, yaml.
Never: touches a Kubernetes that it has not started itself, keeps anything after its block, or asks for root by itself.
"""

from deploy.local_cluster.control_plane import control_plane
from deploy.local_cluster.full_node import full_node
from deploy.local_cluster.handle import ClusterHandle

__all__ = ["ClusterHandle", "control_plane", "full_node"]
