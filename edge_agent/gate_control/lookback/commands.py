"""`munbon-gate replay`, `shadow` and `explain`."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_agent.gate_control.check.yaml_site import load_site
from edge_agent.gate_control.console.cli_options import DEFAULT_CONFIG, Commands, write_out
from edge_agent.gate_control.console.render import plain
from edge_agent.gate_control.journal.code_digest import code_digest
from edge_agent.gate_control.journal.database import JOURNAL_FILE
from edge_agent.gate_control.lookback.compare import Comparison, Difference, compare, compare_one
from edge_agent.gate_control.lookback.explain import Before, Explanation, explain, with_past
from edge_agent.gate_control.lookback.moments import FORMS, read_moment
from edge_agent.gate_control.lookback.source import JournalSource
from shared.clock import SystemClock
from shared.contracts.base import format_utc
from shared.errors import Permanent, UsageError

DIFFERENT = 4
"""Exit code: the same scans were decided otherwise."""
SHOWN = 10
FOLLOW_S = 2.0
PAST_BLOCKS = 31
"""So many blocks (of two minutes) are searched for the last command and the last wish of a person: an hour."""
GAP_SCANS = 5.0
"""A scan that is so many periods older than what was asked for is not the one that was meant."""
FRESH_S = 300.0
LATEST = datetime.max.replace(tzinfo=UTC)


def add_commands(commands: Commands) -> None:
    """Add the three to a parser's subcommands."""
    replay = commands.add_parser(
        "replay", help="decide journalled scans again; exit code 4 where something differs", description=_replay.__doc__
    )
    shadow = commands.add_parser("shadow", help="decide along with a running gate, acting on nothing", description=_shadow.__doc__)
    why = commands.add_parser("explain", help="why a gate moved, or did not", description=_explain.__doc__)
    for command in (replay, shadow, why):
        command.add_argument("--config", type=Path, default=Path(DEFAULT_CONFIG), help=f"configuration (default {DEFAULT_CONFIG})")
        command.add_argument("--journal", type=Path, help="the journal's file, instead of the one that the configuration names")
        command.add_argument("-o", "--output", choices=("text", "json"), default="text")
    for command in (replay, shadow):
        command.add_argument("--site", type=Path, help="decide by this site.yaml instead of the one of then")
    replay.add_argument("--from", dest="since", type=moment, help=f"first time: {FORMS}")
    replay.add_argument("--to", dest="until", type=moment, help="last time")
    shadow.add_argument("--scans", type=int, help="end after so many scans (default: until Ctrl-C)")
    why.add_argument("gate")
    why.add_argument("--at", type=moment, help=f"the last scan up to this time (default: the newest that is kept): {FORMS}")
    replay.set_defaults(handler=_replay)
    shadow.set_defaults(handler=_shadow)
    why.set_defaults(handler=_explain)


def moment(text: str) -> datetime:
    """For argparse.

    Raises:
        argparse.ArgumentTypeError: it is no moment.
    """
    try:
        return read_moment(text, SystemClock().wall())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _source(options: argparse.Namespace) -> JournalSource:
    if options.journal is not None:
        return JournalSource(options.journal)
    site = load_site(options.config)
    return JournalSource(options.config.resolve().parent / site.state_dir / JOURNAL_FILE)


def _replay(options: argparse.Namespace) -> int:
    """Decide journalled scans again, each block from its own beginning, and show where today's code or another configuration parts."""
    if options.since is not None and options.until is not None and options.since > options.until:
        raise UsageError("--from lies after --to", subject="replay", remedy="swap them")
    other = load_site(options.site) if options.site is not None else None
    source = _source(options)
    try:
        found = compare(source.chapters(source.ids(options.since, options.until)), other)
        found.unreadable += source.damaged
    finally:
        source.close()
    write_out(options, _comparison_data(found), comparison_text(found))
    return DIFFERENT if found.differences or found.unreadable else 0


def _shadow(options: argparse.Namespace) -> int:
    """Follow a running gate's journal with the code of this installation. Differences come some minutes late at most."""
    other = load_site(options.site) if options.site is not None else None
    source = _source(options)
    found, seen = Comparison(), max(source.ids(), default=0)
    sys.stderr.write("deciding along; nothing is acted on; Ctrl-C ends\n")
    try:
        while options.scans is None or found.scans < options.scans:
            for chapter in source.chapters([each for each in source.ids() if each > seen]):
                seen = chapter.id
                difference = compare_one(found, chapter, other)
                if difference is not None:
                    write_out(options, _difference_data(difference), difference_text(difference))
                    sys.stdout.flush()
            asyncio.run(SystemClock().sleep(FOLLOW_S))
    except KeyboardInterrupt:
        sys.stderr.write("\n")
    finally:
        source.close()
    write_out(options, _comparison_data(found), comparison_text(found))
    return DIFFERENT if found.differences or found.unreadable else 0


def _explain(options: argparse.Namespace) -> int:
    """Why a gate moved or did not: its readings, its objective, what people asked, and the reasons of the scan, decided again."""
    source = _source(options)
    try:
        ids = source.ids(until=options.at)[::-1][:PAST_BLOCKS]
        found = explain(source.chapters(ids), options.gate, options.at or LATEST)
        if found is None:
            raise _nothing_kept(source, options.at)
        gap = gap_text(found, options.at, SystemClock().wall(), _next_begin(source, found.at))
        if source.damaged:
            gap = f"newer scans cannot be read: {'; '.join(source.damaged)}"
        found = with_past(found, source.chapters(ids))
    finally:
        source.close()
    write_out(options, {**_explanation_data(found), "gap": gap}, explanation_text(found, gap))
    return 0


def _nothing_kept(source: JournalSource, at: datetime | None) -> Permanent:
    ids = source.ids()
    first, last = (source.span(ids[0]), source.span(ids[-1])) if ids else (None, None)
    kept = f"scans are kept from {first[0]} to {last[1]}" if first and last else "no scan is kept yet: blocks of two minutes come here"
    damaged = f"; not readable: {'; '.join(source.damaged)}" if source.damaged else ""
    wanted = f"no scan up to {format_utc(at)} is kept" if at is not None else "no scan can be read"
    return Permanent(f"{wanted}; {kept}{damaged}", subject="journal")


def _next_begin(source: JournalSource, after: datetime) -> datetime | None:
    """When the first block after a time begins; None where there is none yet."""
    for block_id in source.ids(since=after):
        found = source.span(block_id)
        if found is not None and (began := datetime.fromisoformat(found[0])) > after:
            return began
    return None


def comparison_text(found: Comparison) -> str:
    """For people."""
    if found.first_at is None or found.last_at is None:
        return "\n".join(["no scans are kept for that time", *found.unreadable]) + "\n"
    lines = [
        f"{found.scans} scans in {found.blocks} blocks, {format_utc(found.first_at)} to {format_utc(found.last_at)}",
        f"decided again by code {code_digest()[:12]}; {found.blocks_of_other_code} blocks were decided by other code",
    ]
    lines += [f"not readable by this version: {each}" for each in found.unreadable]
    lines.append(f"{len(found.differences) or 'no'} block(s) differ" if found.blocks else "nothing to compare")
    text = "\n".join(lines) + "\n" + "".join(difference_text(each) for each in found.differences[:SHOWN])
    hidden = len(found.differences) - SHOWN
    return text + (f"and {hidden} more; -o json shows all\n" if hidden > 0 else "")


def difference_text(difference: Difference) -> str:
    """For people."""
    same = " (same code: a fault of ours, please report)" if difference.by_same_code else ""
    return (
        f"{format_utc(difference.at)}{same}\n  then   {', '.join(difference.then) or 'nothing'}\n"
        f"  today  {', '.join(difference.today) or 'nothing'}\n" + "".join(f"         {reason}\n" for reason in difference.reasons)
    )


def explanation_text(found: Explanation, gap: str = "") -> str:
    """For people."""
    opening = "not known" if found.opening_pct is None else f"{found.opening_pct:.1f} %"
    lines = [
        f"gate {found.gate} at {format_utc(found.at)}: {found.mode}, opening {opening}, target {found.target or 'none'}",
        *([f"  {gap}"] if gap else []),
        *(f"  because {reason}" for reason in found.reasons),
        *(f"  asked in this scan: {wish}" for wish in found.asked),
        f"  commanded in this scan: {', '.join(found.commands) or 'nothing'}",
    ]
    lines += [] if found.commands else _past_line("last command", found.last_command, found.at)
    lines += [] if found.asked else _past_line("last asked", found.last_asked, found.at)
    for name, value, quality, age_s, reasons in found.readings:
        shown = "-" if value is None else f"{value:.3f}"
        lines.append(f"  {name:<24} {shown:>9}  {quality}, {age_s:g} s old{': ' + '; '.join(reasons) if reasons else ''}")
    if found.alarms:
        lines.append(f"  alarms: {', '.join(found.alarms)}")
    if not found.by_same_code:
        lines.append("  decided then by another version of the code; the reasons are this version's")
    return "".join(f"{plain(line)}\n" for line in lines)


def _past_line(name: str, before: Before, at: datetime) -> list[str]:
    if before.at is None:
        return []
    return [f"  {name}: {before.text}, {format_utc(before.at)} ({_length((at - before.at).total_seconds())} before)"]


def gap_text(found: Explanation, asked_at: datetime | None, now: datetime, next_at: datetime | None) -> str:
    """Where the scan is not of the moment that was asked for, why; empty where it is. Pure."""
    wanted = min(asked_at, now) if asked_at is not None else now
    missing_s = (wanted - found.at).total_seconds()
    if missing_s <= GAP_SCANS * found.scan_period_s:
        return ""
    if next_at is not None:
        return f"this scan is {_length(missing_s)} older than that: none was made until {format_utc(next_at)}, the process was not running"
    why = "scans come here in blocks of two minutes; of now tells munbon-gate status" if missing_s < FRESH_S else "is munbon-gate running?"
    return f"this scan is {_length(missing_s)} older than that, the newest that is kept: {why}"


def _length(seconds: float) -> str:
    for unit, unit_s in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2.0 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} s"


def _difference_data(difference: Difference) -> dict[str, Any]:
    return {**dataclasses.asdict(difference), "at": format_utc(difference.at)}


def _comparison_data(found: Comparison) -> dict[str, Any]:
    return {
        "blocks": found.blocks,
        "scans": found.scans,
        "code_digest": code_digest(),
        "blocks_of_other_code": found.blocks_of_other_code,
        "unreadable": found.unreadable,
        "first_at": _time(found.first_at),
        "last_at": _time(found.last_at),
        "differences": [_difference_data(each) for each in found.differences],
    }


def _explanation_data(found: Explanation) -> dict[str, Any]:
    names = ("name", "value", "quality", "age_s", "reasons")
    return {
        **dataclasses.asdict(found),
        "at": format_utc(found.at),
        "last_command": found.last_command.text,
        "last_command_at": _time(found.last_command.at),
        "last_asked": found.last_asked.text,
        "last_asked_at": _time(found.last_asked.at),
        "readings": [dict(zip(names, reading, strict=True)) for reading in found.readings],
    }


def _time(at: datetime | None) -> str | None:
    return format_utc(at) if at is not None else None
