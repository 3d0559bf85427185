"""A Kubernetes API in memory: hundreds of clusters in one process, held to the same contract suite as a real control plane.

Takes: HTTP requests (or :class:`Request` values) as any Kubernetes client sends them.
Gives: answers, watches and the work of the controllers for the kinds in :mod:`.kinds`, with the field types of ``schema.json``.
May import: ``shared.clock``, aiohttp (only :mod:`.http_app`), the standard library.
Never does: run pods (see ``deploy.local_cluster.fake_kubelet``), persist anything, poll, or check permissions.
"""

from deploy.local_cluster.in_memory.api import Answer, Request
from deploy.local_cluster.in_memory.cluster import InMemoryCluster
from deploy.local_cluster.in_memory.http_app import InMemoryServer

__all__ = ["Answer", "InMemoryCluster", "InMemoryServer", "Request"]
