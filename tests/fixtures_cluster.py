"""Skips a test that needs a real cluster where there can be none, and says why and what changes it."""

from __future__ import annotations

import os

import pytest

from deploy.local_cluster import preflight
from deploy.local_cluster.build import What


def require_control_plane() -> None:
    """Skip the calling test unless a control plane can run here (or fail it, where MUNBON_REQUIRE says that it must)."""
    _require("control_plane", "control_plane")


def require_full_node() -> None:
    """Skip the calling test unless a full node can run here (or fail it, where MUNBON_REQUIRE says that it must)."""
    _require("full", "full_node")


def _require(what: What, marker: str) -> None:
    found = preflight.lacks(what)
    if not found:
        return
    reason = f"no {marker.replace('_', ' ')}: {preflight.in_words(found)}"
    if marker in os.environ.get("MUNBON_REQUIRE", "").split():
        pytest.fail(f"MUNBON_REQUIRE names what is not here: {reason}", pytrace=False)
    print(f"skipped: {reason}")
    pytest.skip(reason)
