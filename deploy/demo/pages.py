"""The page of a release, read through its Service on a node with real pods."""

from __future__ import annotations

from deploy.harness.processes import ProcessFailed
from deploy.harness.world import WorldNode


async def read_page(node: WorldNode, app: str, version: str) -> str:
    """First line of the page behind the Service, from within the node's own network; empty while it is not that of `version`."""
    try:
        page = await node.cluster.read_page(app)
    except ProcessFailed:
        return ""
    first = page.strip().splitlines()[0] if page.strip() else ""
    return first if version in first else ""
