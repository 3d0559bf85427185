"""`munbon-gate update`: to another installed version of the gate process, and back by itself where that one cannot scan."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from edge_agent.gate_control.console.cli_options import DEFAULT_CONFIG, duration_s, find_socket
from edge_agent.gate_control.console.cli_show import pause
from edge_agent.gate_control.update.keeper import UNIT, Systemctl
from edge_agent.gate_control.update.look import Look
from edge_agent.gate_control.update.places import CURRENT, DEFAULT_ROOT, PROVEN, Places
from edge_agent.gate_control.update.updater import Outcome, Ports, Updater, is_same_version_running
from shared.clock import SystemClock
from shared.errors import Permanent, Retryable, UsageError

DEFAULT_INTERLOCK = "/run/munbon-gate/interlock.json"
CHECK_S = 60.0
_EPILOG = """exit codes: 0 the version controls (or did already), 1 failed, 2 no such version or it refuses this site's configuration,
3 a gate moved or a flood alarm stood for too long (nothing was touched), 4 went back to the old version, 5 neither version scans"""


def add_commands(commands: Any) -> None:
    """Add it to a parser's subcommands."""
    update = commands.add_parser(
        "update", help="go over to another installed version, and back where it cannot scan", description=_update.__doc__, epilog=_EPILOG
    )
    update.add_argument("version", nargs="?", help="an installed version; without one: what is installed, linked and proven")
    update.add_argument("--within", type=duration_s, default=10.0, help="the new version must scan after so long (default 10s)")
    update.add_argument("--wait", type=duration_s, default=900.0, help="wait so long for moving gates and flood alarms (default 15m)")
    update.add_argument("--finish", action="store_true", help="judge a half-made update; called at each start by the unit")
    update.add_argument("--started", action="store_true", help="with --finish: the process is started already and is watched")
    update.add_argument("--root", type=Path, default=Path(DEFAULT_ROOT), help=f"where versions are installed (default {DEFAULT_ROOT})")
    update.add_argument("--unit", default=UNIT, help=f"what systemd calls the process (default {UNIT})")
    update.add_argument("--socket", type=Path, help="the gate's socket, instead of the one that the configuration names")
    update.add_argument("--config", type=Path, default=Path(DEFAULT_CONFIG), help=f"configuration (default {DEFAULT_CONFIG})")
    update.set_defaults(handler=_update)


def _update(options: argparse.Namespace) -> int:
    """Wait until no gate moves, restart into VERSION, watch it scan; else restart into the version before. Moves no gate."""
    places = Places(options.root)
    if options.finish:
        return _finish(options, places)
    if options.version is None:
        return _show(places)
    places.check(options.version)
    _check_configuration(places.program(options.version), options.config)
    return change(make_ports(options, places), options.version, within_s=options.within, wait_s=options.wait)


def _show(places: Places) -> int:
    try:
        sys.stdout.write(places_text(places))
    except PermissionError as error:
        raise UsageError(f"cannot be read: {error.strerror}", subject=str(places.root), remedy="run it as root") from error
    return 0


def change(ports: Ports, version: str, *, within_s: float, wait_s: float) -> int:
    """Exit code of an update to a version that is installed.

    Raises:
        MunbonError: another update is under way, or systemd or the disk refuses.
    """
    with ports.places.lock():
        updater = Updater(ports)
        try:
            if ports.places.load() is not None:
                updater.finish(within_s=within_s)
            if is_same_version_running(ports, version):
                ports.tell(f"version {version} controls already")
                return Outcome.UPDATED
            return updater.update(version, within_s=within_s, wait_s=wait_s)
        except OSError as error:
            raise Permanent(
                f"cannot be written: {error}", subject=str(ports.places.root), remedy="free the disk, or run as root"
            ) from error


def _finish(options: argparse.Namespace, places: Places) -> int:
    """As `Updater.finish`; quick where there is nothing to judge, since each start waits for it."""
    if places.load() is None:
        return Outcome.UPDATED
    try:
        with places.lock():
            return Updater(make_ports(options, places)).finish(within_s=options.within, is_started=options.started)
    except Retryable:
        return Outcome.UPDATED  # the update that is under way judges itself
    except OSError as error:
        raise Permanent(f"cannot be written: {error}", subject=str(places.root), remedy="free the disk, or run as root") from error


def make_ports(options: argparse.Namespace, places: Places) -> Ports:
    """The machine's own."""
    clock = SystemClock()
    look = Look(_socket(options), _interlock_file(options.config))
    return Ports(places, Systemctl(options.unit), look, clock.monotonic_s, pause, print_line)


def print_line(line: str) -> None:
    """At once, also into a file: who waits reads along."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _socket(options: argparse.Namespace) -> Path:
    found: Path = find_socket(options)
    return found


def _interlock_file(config: Path) -> Path:
    """As the configuration names it; its other mistakes are not this command's business.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
        named = content.get("interlock_file", DEFAULT_INTERLOCK)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError) as error:
        raise UsageError(f"cannot be read: {error}", subject=str(config), remedy="run munbon-gate check") from error
    return config.resolve().parent / str(named)


def _check_configuration(program: Path, config: Path) -> None:
    """The new version reads the site's configuration before anything is touched.

    Raises:
        UsageError: it does not start, or refuses the configuration.
    """
    try:
        done = subprocess.run(
            [str(program), "check", str(config), "-o", "text"], capture_output=True, text=True, timeout=CHECK_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"does not start: {error}", subject=str(program), remedy="install the version anew") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip() or f"exit code {done.returncode}"
        raise UsageError(
            f"refuses {config}; nothing was touched:\n{said}", subject=str(program), remedy="correct the file, or keep the version"
        )


def places_text(places: Places) -> str:
    """For people: versions, links, and how the last update ended."""
    current, proven, last = places.named_by(CURRENT), places.named_by(PROVEN), places.last()
    lines = [f"current   {current or 'none'}", f"proven    {proven or 'none'}", f"installed {', '.join(places.installed()) or 'none'}"]
    if (record := places.load()) is not None:
        lines.append(f"half-made {record.before} -> {record.target}, to be judged at the next start")
    if last:
        reason = f": {last['reason']}" if last.get("reason") else ""
        lines.append(f"last      {last.get('before')} -> {last.get('target')}, {last.get('outcome')}{reason}")
    return "\n".join(lines) + "\n"
