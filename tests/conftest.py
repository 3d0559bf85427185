"""Leaves out tests whose marker names something this machine lacks, with the reason; where all must be there, fails instead.

With MUNBON_REQUIRE set to a list of markers (as .ci/run does), a lack of one of them is an error: a check that
silently skips what it was meant to check is no check.
"""

import os
import signal

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from deploy.make import capabilities

# a shell starts what it runs in the background with Ctrl-C ignored; programs of tests would inherit that, and never end by it
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REQUIRED = frozenset(os.environ.get("MUNBON_REQUIRE", "").split())
WORLDS = ("tests/scenario/", "tests/integration/cli/")
"""Each of these folders keeps a whole world running (central, bus, clusters, agents, gates) while its tests go on."""


class SideBySide(LoadFileScheduling):
    """A file stays with one worker, and so do the folders with worlds, of which two cores bear one."""

    def _split_scope(self, nodeid: str) -> str:
        return "worlds" if nodeid.startswith(WORLDS) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SideBySide:
    """For `make test`, which runs two workers."""
    return SideBySide(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks each test that this machine cannot run as skipped, or stops when it was required to run."""
    used = {mark.name for item in items for mark in item.iter_markers()}
    lacks = {marker: lack for marker, lack in capabilities.lacks().items() if marker in used}
    if refused := capabilities.describe({m: lack for m, lack in lacks.items() if m in REQUIRED}):
        raise pytest.UsageError("MUNBON_REQUIRE names what is not here: " + "; ".join(refused))
    for item in items:
        for marker, lack in lacks.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=f"{lack.missing}; {lack.remedy}"))
