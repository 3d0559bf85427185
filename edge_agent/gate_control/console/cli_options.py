"""What the commands of `munbon-gate` that ask a running gate have in common."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any, TypeAlias

from shared.errors import UsageError

DEFAULT_CONFIG = "/etc/munbon/site.yaml"
DEFAULT_SOCKET = "/run/munbon-gate/gate.sock"
SOCKET_VARIABLE = "MUNBON_GATE_SOCKET"
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}

LONGEST_S = 3_660 * 86_400.0
"""Ten years; much more, and no calendar has the other end."""
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_asking(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Options of every command that asks the running gate."""
    command.add_argument("--socket", type=Path, help=f"the gate's socket; else {SOCKET_VARIABLE}, else what the configuration names")
    command.add_argument("--config", type=Path, default=Path(DEFAULT_CONFIG), help=f"configuration (default {DEFAULT_CONFIG})")
    command.add_argument("-o", "--output", choices=("text", "json"), default="text")
    return command


def find_socket(options: argparse.Namespace) -> Path:
    """Where the gate listens.

    Raises:
        UsageError: the configuration that should name it cannot be read.
    """
    named = options.socket or os.environ.get(SOCKET_VARIABLE)
    if named:
        return Path(named)
    # only here: the process that controls needs neither
    import tomllib

    import yaml

    config: Path = options.config
    try:
        text = config.read_text(encoding="utf-8")
        content = yaml.safe_load(text) if config.suffix in (".yaml", ".yml") else tomllib.loads(text)
    except FileNotFoundError:
        return Path(DEFAULT_SOCKET)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot be read: {error}", subject=str(config), remedy="name the socket with --socket") from error
    named = content.get("socket") if isinstance(content, dict) else None
    return config.resolve().parent / str(named or DEFAULT_SOCKET)


def duration_s(text: str) -> float:
    """Seconds of `90`, `90s`, `15m`, `6h` or `2d`; for argparse.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if found is None or float(found[1]) <= 0.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time; write for example 90s, 15m, 6h or 2d")
    length_s = float(found[1]) * _UNITS_S[found[2] or "s"]
    if length_s > LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text!r} is longer than {LONGEST_S / 86_400.0:.0f} days")
    return length_s


def terminal_width() -> int | None:
    """Columns of the terminal, or of COLUMNS; None for a pipe or a file, which take what comes."""
    return shutil.get_terminal_size((0, 0)).columns or None if sys.stdout.isatty() or "COLUMNS" in os.environ else None


def write_out(options: argparse.Namespace, data: dict[str, Any], text: str) -> None:
    """The answer, as it was asked for."""
    sys.stdout.write(json.dumps(data, indent=2, sort_keys=True) + "\n" if options.output == "json" else text)
