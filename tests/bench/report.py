"""The two records of a run: build/bench.json for programs, docs/benchmarks.md for people."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.result import Result

Record = dict[str, Any]

HEAD = """# Benchmarks

Written by `make bench`; do not edit by hand. Repeat all of them with `make bench`, one with `make bench ONLY=name`; the same
figures are in `build/bench.json`. Figures of one machine compare versions with each other; they say little about another machine.

| machine | |
|---|---|
"""


def merge(earlier: Iterable[Record], results: Iterable[Result], *, measured_at: str) -> list[Record]:
    """This run's results beside those earlier ones that it did not measure again, by name.

    Args:
        earlier: the records of an earlier run on the same machine.
        results: this run's results.
        measured_at: the day of this run; kept in each record's params.
    """
    fresh = [asdict(result) | {"params": dict(result.params) | {"measured_at": measured_at}} for result in results]
    names = {record["name"] for record in fresh}
    return sorted([*fresh, *(record for record in earlier if record["name"] not in names)], key=lambda record: str(record["name"]))


def read_earlier(path: Path, machine: Mapping[str, object]) -> list[Record]:
    """The results of an earlier run, if it was on this machine with this Python."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        then = document["machine"]
        same = all(then.get(key) == machine[key] for key in ("cpu", "cores", "memory_mib", "architecture", "python"))
        return list(document["results"]) if same else []
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def write_json(path: Path, machine: Mapping[str, object], records: Sequence[Record], failures: Mapping[str, str]) -> None:
    """Writes build/bench.json."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"machine": dict(machine), "results": list(records), "failures": dict(failures)}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def markdown(machine: Mapping[str, object], records: Sequence[Record], failures: Mapping[str, str]) -> str:
    """The page docs/benchmarks.md."""
    lines = [HEAD.rstrip("\n")]
    lines += [f"| {key.replace('_', ' ')} | {value} |" for key, value in machine.items()]
    lines += ["", "| name | value | goal | better | measured | with |", "|---|---|---|---|---|---|"]
    for record in records:
        params = dict(record["params"])
        goal, day = params.pop("goal", ""), params.pop("measured_at", "")
        given = ", ".join(f"{key} {value}" for key, value in params.items())
        lines.append(f"| {record['name']} | {record['value']:.4g} {record['unit']} | {goal} | {record['better']} | {day} | {given} |")
    if failures:
        lines += ["", "Not measured in the last run:", ""]
        lines += [f"- `{name}`: {reason}" for name, reason in failures.items()]
    return "\n".join(lines) + "\n"
