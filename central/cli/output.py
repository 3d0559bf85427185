"""What people and programs see. JSON goes to standard output alone; notes and progress go to standard error."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from central.cli import exits
from central.cli.exits import CliError
from central.cli.tables import Column, FittedTable
from shared.contracts.base import Contract
from shared.contracts.event import Cause

_NO_FOLDING = 100_000
"""Cells in a line of what is no terminal: a file or a program gets each row on one line, with all columns."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class ReaderGone(Exception):
    """Who read standard output has closed it, as `head` does. No OSError, for typer has an answer of its own to that."""


class _Console(Console):
    """As rich's, but a reader that has gone is told to `main`, which knows how to end quietly."""

    def on_broken_pipe(self) -> None:
        """Called where writing failed."""
        raise ReaderGone


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    is_terminal = stream is not None and stream.isatty()
    width = None if is_terminal or os.environ.get("COLUMNS") else _NO_FOLDING
    return _Console(stderr=stderr, highlight=False, soft_wrap=True, width=width)


out = _console(stderr=False)
err = _console(stderr=True)


class Format(StrEnum):
    """Output formats."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Format, typer.Option("--output", "-o", help="table for people, json for programs.", case_sensitive=False)]
SelectorOption = Annotated[
    str, typer.Option("--selector", "-l", help="Nodes by label, as kubectl: canal=main,site!=north, 'site in (a,b)'.")
]

_GOOD = {"Ready", "Online", "Succeeded", "accepted", "in_force", "good"}
_BAD = {"Failed", "Degraded", "Refused", "Unsupported", "refused", "bad"}
_WARN = {"RolledBack", "RollingBack", "Offline", "Held", "Paused", "Superseded", "pending", "Orphaned", "NeverSeen", "degraded"}


def print_json(content: Contract | Sequence[Contract] | dict[str, Any]) -> None:
    """One JSON document on standard output."""
    plain: Any
    if isinstance(content, Contract):
        plain = content.to_json()
    elif isinstance(content, dict):
        plain = content
    else:
        plain = [item.to_json() for item in content]
    _write(json.dumps(plain, indent=2, ensure_ascii=False))


def print_json_line(content: Contract) -> None:
    """One JSON document a line, for streams."""
    _write(json.dumps(content.to_json(), ensure_ascii=False))


def _write(text: str) -> None:
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise ReaderGone from error


def table(columns: Iterable[str | Column], rows: Iterable[Sequence[str]]) -> FittedTable:
    """A plain table in the manner of kubectl; cells may hold markup."""
    return FittedTable((column if isinstance(column, Column) else Column(column) for column in columns), rows)


def fields(rows: Iterable[Sequence[str]]) -> FittedTable:
    """Names and what they are, one a line, without a heading."""
    return FittedTable((Column(""), Column("", folds=True)), rows)


def line(markup: str) -> Text:
    """A line that folds at words where the terminal ends."""
    text = Text.from_markup(markup, overflow="fold")
    text.no_wrap = False  # the consoles leave text alone otherwise
    return text


def phase(text: str) -> str:
    """A phase in its colour."""
    colour = "green" if text in _GOOD else "red" if text in _BAD else "yellow" if text in _WARN else "cyan"
    return f"[{colour}]{escape(text)}[/]" if text else ""


def plain(text: object) -> str:
    """Text from elsewhere, with no markup in it."""
    return escape(printable(str(text))) if text is not None else ""


def printable(text: str) -> str:
    """Without line ends and control characters: a pod's log line must not steer the operator's terminal."""
    return _CONTROL.sub(" ", text)


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago, as kubectl writes it."""
    if moment is None:
        return "never"
    seconds = int(max(timedelta(0), now - moment).total_seconds())
    for limit, divisor, unit in ((120, 1, "s"), (7_200, 60, "m"), (172_800, 3_600, "h")):
        if seconds < limit:
            return f"{seconds // divisor}{unit}"
    return f"{seconds // 86_400}d"


def describe_cause(cause: Cause | None) -> str:
    """Cause in one line: code, container, exit code, last log line."""
    if cause is None:
        return ""
    parts = [cause.code]
    if cause.container:
        parts.append(f"container {cause.container}")
    if cause.exit_code is not None:
        parts.append(f"exit code {cause.exit_code}")
    text = ", ".join(parts)
    detail = cause.last_log_line or cause.message
    return f"{text}: {detail}" if detail else text


def labels(pairs: dict[str, str]) -> str:
    """Labels as kubectl writes them."""
    return ",".join(f"{key}={value}" for key, value in sorted(pairs.items())) or "-"


def number(value: float | None, unit: str = "", digits: int = 2) -> str:
    """A figure with its unit, or a dash."""
    return "-" if value is None else f"{value:.{digits}f}{unit}"


def note(text: str) -> None:
    """A remark for the person at the terminal."""
    err.print(printable(text), markup=False)


def confirm(question: str) -> None:
    """Go on only after a yes.

    Raises:
        CliError: it was declined, or nobody can answer; exit code 1.
    """
    err.print(f"{question} [y/N]: ", markup=False, end="")
    answer = sys.stdin.readline() if sys.stdin is not None else ""
    if not answer.endswith("\n"):
        err.print()
    if answer.strip().lower() not in ("y", "yes"):
        remedy = "" if answer else "nobody answered; where no person is asked, give --yes"
        raise CliError("nothing changed", exit_code=exits.FAILED, remedy=remedy, code="Declined")
