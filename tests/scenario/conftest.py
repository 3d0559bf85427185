"""Scenarios: one story per file, told on the real programs."""

from pathlib import Path

import pytest

from tests.fixtures_world import USUAL, app, folder, world

__all__ = ["app", "folder", "world"]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All stories live in one event loop, as the fleet that they share does."""
    for item in items:
        if HERE in item.path.parents and isinstance(item, pytest.Function):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.nats)


def pytest_report_header() -> str:
    """Which kind of cluster the stories are told on."""
    better = "" if USUAL != "memory" else " (with Go 1.26 or newer on PATH: on a real control plane)"
    return f"scenarios: clusters of kind {USUAL}{better}"
