"""Some minutes of scans as one block: a whole state first, then what each scan saw, as changes. Pure.

Format 1 is JSON data `{"format", "points", "base", "scans"}`. A scan is
`[milliseconds since the last, milliseconds the wall moved beside that, wall is trusted, samples, happened]`; `samples` is one
flat list of `index, change in steps, age in time steps` of those that came, `index, null, age, error` of those without a value,
`index, "nan", age` of those whose value was no number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from edge_agent.gate_control.model.values import Now, Sample
from edge_agent.gate_control.replay.quantise import Steps

FORMAT = 1
NO_NUMBER = "nan"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BlockDamaged(ValueError):
    """The data is not a block that this version can read."""


@dataclass(frozen=True)
class ScanInputs:
    """All that one scan was decided from: quantised samples, and what happened since the scan before."""

    now: Now
    samples: tuple[Sample, ...]
    happened: tuple[Mapping[str, Any], ...] = ()
    """Plain JSON data, oldest first: plans, instructions, what became of commands."""


@dataclass(frozen=True)
class Block:
    """Scans in order, and the state before the first of them."""

    base: Mapping[str, Any]
    """Plain JSON data."""
    scans: tuple[ScanInputs, ...]


class BlockWriter:
    """Collects scans; `text()` gives the block so far.

    Each scan is kept as text from the start: a quarter of the memory, and no long run of one step when the block is full.
    """

    def __init__(self, steps: Steps, base: Mapping[str, Any]) -> None:
        self._steps = steps
        self._base = base
        self._points: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._scans: list[str] = []
        self._last_ms = (0, 0)

    def __len__(self) -> int:
        return len(self._scans)

    def add(self, scan: ScanInputs) -> None:
        """One more scan, quantised."""
        monotonic_ms, wall_ms = round(1000.0 * scan.now.monotonic_s), _wall_ms(scan.now.wall)
        step_ms = monotonic_ms - self._last_ms[0]
        drift_ms = wall_ms - self._last_ms[1] - step_ms
        self._last_ms = (monotonic_ms, wall_ms)
        now_count = self._steps.time_count(scan.now.monotonic_s)
        samples: list[Any] = []
        for sample in scan.samples:
            samples += self._sample(sample, now_count)
        row = [step_ms, drift_ms, int(scan.now.wall_is_trusted), samples, *([list(scan.happened)] if scan.happened else [])]
        self._scans.append(_compact(row))

    def text(self, base: Mapping[str, Any] | None = None) -> str:
        """JSON; parsed, it is for `read_block`. `base`: where it became known only now."""
        head = _compact({"format": FORMAT, "points": list(self._points), "base": self._base if base is None else base})
        return head[:-1] + ',"scans":[' + ",".join(self._scans) + "]}"

    def _sample(self, sample: Sample, now_count: int) -> list[Any]:
        index = self._points.setdefault(sample.point, len(self._points))
        age = now_count - self._steps.time_count(sample.sampled_at_s)
        if sample.value is None:
            return [index, None, age, sample.error]
        count = self._steps.count(sample)
        if count is None:
            return [index, NO_NUMBER, age]
        change = count - self._counts.get(sample.point, 0)
        self._counts[sample.point] = count
        return [index, change, age]


def read_block(steps: Steps, content: Mapping[str, Any]) -> Block:
    """The block of a writer's content.

    Raises:
        BlockDamaged: it is something else.
    """
    try:
        if content["format"] != FORMAT:
            raise BlockDamaged(f"block format {content['format']}, this version reads {FORMAT}")
        return Block(content["base"], tuple(_scans(steps, content["points"], content["scans"])))
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise BlockDamaged(f"not a block: {error}") from error


def _scans(steps: Steps, points: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[ScanInputs]:
    monotonic_ms, wall_ms = 0, 0
    counts: dict[str, int] = {}
    for step_ms, drift_ms, is_trusted, flat, *happened in rows:
        monotonic_ms += step_ms
        wall_ms += step_ms + drift_ms
        now = Now(monotonic_ms / 1000.0, _EPOCH + timedelta(milliseconds=wall_ms), bool(is_trusted))
        samples = tuple(_samples(steps, points, flat, steps.time_count(now.monotonic_s), counts))
        yield ScanInputs(now, samples, tuple(happened[0]) if happened else ())


def _samples(steps: Steps, points: Sequence[str], flat: Sequence[Any], now_count: int, counts: dict[str, int]) -> Iterator[Sample]:
    at = 0
    while at < len(flat):
        point, change, age = points[flat[at]], flat[at + 1], flat[at + 2]
        at += 3
        sampled_at_s = steps.time_s(now_count - age)
        if change is None:
            yield Sample(point, None, sampled_at_s, flat[at])
            at += 1
        elif change == NO_NUMBER:
            yield Sample(point, math.nan, sampled_at_s)
        else:
            counts[point] = counts.get(point, 0) + change
            yield Sample(point, steps.value(point, counts[point]), sampled_at_s)


def _compact(content: object) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def _wall_ms(wall: datetime) -> int:
    return (wall - _EPOCH) // timedelta(milliseconds=1)
