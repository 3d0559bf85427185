"""`check` before `run`, in a process of its own: what it needs would stay in the memory of a process that runs for months."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import asdict

from edge_agent.gate_control.check.finding import Finding, Lines
from edge_agent.gate_control.model.configuration import SiteConfiguration
from shared.observability import get_logger

AT_MOST_S = 20
"""Longer control does not wait for it."""

log = get_logger("gate.check")


def check_apart(site: SiteConfiguration, lines: Lines) -> tuple[Finding, ...]:
    """What `check` holds against a site. Never raises: control begins whatever becomes of this. To be called before any thread runs."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _tell(site, lines, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    try:
        return tuple(Finding(**one) for one in json.loads(told))
    except ValueError:
        log.error("the check of site.yaml broke off: run 'munbon-gate check'")
        return ()


def _tell(site: SiteConfiguration, lines: Lines, writing: int) -> None:
    """In the child: it ends here, without what an interpreter does at its end."""
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(AT_MOST_S)
        from edge_agent.gate_control.check.site_rules import check_site

        with os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps([asdict(one) for one in check_site(site, lines)]).encode())
    finally:
        os._exit(0)
