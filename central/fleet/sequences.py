"""Sets of sequence numbers as sorted, disjoint ranges: what arrived of an outbox."""

from __future__ import annotations

from collections.abc import Sequence

Range = tuple[int, int]
"""First and last, both included."""


def add_range(ranges: Sequence[Range], first: int, last: int) -> tuple[Range, ...]:
    """The ranges with `first`..`last` added; neighbours grow together.

    Raises:
        ValueError: `last` is below `first`.
    """
    if last < first:
        raise ValueError(f"range {first}..{last} runs backwards")
    before = [item for item in ranges if item[1] < first - 1]
    after = [item for item in ranges if item[0] > last + 1]
    touched = [item for item in ranges if item[1] >= first - 1 and item[0] <= last + 1]
    low = min([first, *(item[0] for item in touched)])
    high = max([last, *(item[1] for item in touched)])
    return (*before, (low, high), *after)


def count_covered(ranges: Sequence[Range]) -> int:
    """How many numbers the ranges hold."""
    return sum(last - first + 1 for first, last in ranges)
