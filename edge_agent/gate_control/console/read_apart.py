"""`site.yaml` before `run`, in a process of its own: what reads and checks it would stay in the memory of one that runs for months."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import asdict
from pathlib import Path

from edge_agent.gate_control.check.finding import Finding
from edge_agent.gate_control.model.configuration import SiteConfiguration
from shared.errors import UsageError
from shared.observability import get_logger

AT_MOST_S = 20
"""Longer control does not wait for the check."""

log = get_logger("gate.check")


def read_apart(path: Path) -> tuple[SiteConfiguration, tuple[Finding, ...]]:
    """The site of a file, and what `check` holds against it. To be called before any thread runs.

    Control begins whatever becomes of the check.

    Raises:
        UsageError: the file cannot be read, or is no site.
    """
    site, _, findings = _told_by_child(path).partition(b"\n")
    if not site:
        # it is no site, or the child broke off: read here, it says why, or goes on without a check
        from edge_agent.gate_control.check.yaml_site import load_site

        return load_site(path), _findings(b"")
    return SiteConfiguration.model_validate_json(site), _findings(findings)


def _findings(told: bytes) -> tuple[Finding, ...]:
    try:
        return tuple(Finding(**one) for one in json.loads(told))
    except ValueError:
        log.error("the check of site.yaml broke off: run 'munbon-gate check'")
        return ()


def _told_by_child(path: Path) -> bytes:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _tell(path, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return told


def _tell(path: Path, writing: int) -> None:
    """In the child: a line with the site, a line with the findings. It ends here, without what an interpreter does at its end."""
    try:
        from edge_agent.gate_control.check import site_rules
        from edge_agent.gate_control.check.yaml_site import read_site

        with os.fdopen(writing, "wb") as pipe:
            site, lines = read_site(path)
            pipe.write(site.model_dump_json(by_alias=True).encode() + b"\n")
            pipe.flush()
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(AT_MOST_S)
            pipe.write(json.dumps([asdict(one) for one in site_rules.check_site(site, lines)]).encode())
    except UsageError:
        pass  # told by who reads it next
    finally:
        os._exit(0)
