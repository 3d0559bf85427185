"""Small charts for a terminal of 80 columns: a line drawn with braille dots, two by four to a character. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 80
_LABEL = 10
"""Columns of the figures at the left, the bar included."""
_DOT_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Unicode braille patterns: bit of each dot by row and column (U+2800 and what is added)."""


@dataclass(frozen=True)
class Series:
    """Samples as (seconds, value); None is a gap."""

    title: str
    unit: str
    points: Sequence[tuple[float, float | None]]
    digits: int = 2


def draw_chart(
    series: Series, from_s: float, until_s: float, *, start: str, end: str, height: int = 5, width: int = WIDTH, braille: bool = True
) -> list[str]:
    """Lines of at most `width` columns: a title with the newest, least and greatest value, the curve, and a time axis.

    Each column shows the whole range of its samples, so that no peak is lost however many there are.

    Args:
        series: what to draw; samples out of the time range are left out.
        from_s: begin of the time range, in the seconds of the samples.
        until_s: its end.
        start: name of its begin on the time axis.
        end: name of its end.
        height: lines of the curve.
        width: columns of everything.
        braille: False draws with '*', for terminals without Unicode.
    """
    known = [(at_s, value) for at_s, value in series.points if value is not None and math.isfinite(value) and from_s <= at_s <= until_s]
    if not known:
        return [f"{series.title}: nothing recorded from {start} to {end}"]
    low, high = min(value for _, value in known), max(value for _, value in known)
    newest = known[-1][1]
    figures = f"{newest:.{series.digits}f} {series.unit} now, {low:.{series.digits}f} to {high:.{series.digits}f}"
    columns = width - _LABEL
    dots_across, dots_down = (columns * 2, height * 4) if braille else (columns, height)
    grid = _plot(series.points, from_s, until_s, low, high, dots_across, dots_down)
    rows = _braille_rows(grid, columns, height) if braille else _plain_rows(grid, columns, height)
    lines = [f"{series.title}  {figures}"[:width]]
    for row, text in enumerate(rows):
        shown = high if row == 0 else low if row == height - 1 else None
        lines.append(f"{_label(shown, series.digits):>{_LABEL - 2}} {'┤' if braille else '|'}{text}".rstrip())
    gap = max(1, columns - len(start) - len(end))
    return [*lines, f"{'':{_LABEL}}{start}{' ' * gap}{end}"[:width]]


def _label(value: float | None, digits: int) -> str:
    """A figure beside the curve; one too long for its columns loses places, not the curve."""
    text = "" if value is None else f"{value:.{digits}f}"
    return text if len(text) <= _LABEL - 2 else f"{value:.2g}"


def _plot(
    points: Sequence[tuple[float, float | None]], from_s: float, until_s: float, low: float, high: float, across: int, down: int
) -> set[tuple[int, int]]:
    """Dots as (column, row from the top). Neighbouring samples are joined where nothing lies between them."""
    span_s, span = max(until_s - from_s, 1e-9), high - low
    dots: set[tuple[int, int]] = set()
    before: tuple[int, int] | None = None
    for at_s, value in points:
        if value is None or not math.isfinite(value) or not from_s <= at_s <= until_s:
            before = None
            continue
        column = min(across - 1, int((at_s - from_s) / span_s * across))
        share = (value - low) / span if span > 0.0 else 0.5
        row = down - 1 - round(share * (down - 1))
        joins = before is not None and column - before[0] <= 1
        first = before[1] if joins and before is not None else row
        dots |= {(column, between) for between in range(min(first, row), max(first, row) + 1)}
        before = (column, row)
    return dots


def _braille_rows(dots: set[tuple[int, int]], columns: int, height: int) -> list[str]:
    cells = [[0] * columns for _ in range(height)]
    for across, down in dots:
        cells[down // 4][across // 2] |= _DOT_BITS[down % 4][across % 2]
    return ["".join(chr(0x2800 + cell) if cell else " " for cell in line) for line in cells]


def _plain_rows(dots: set[tuple[int, int]], columns: int, height: int) -> list[str]:
    return ["".join("*" if (column, row) in dots else " " for column in range(columns)) for row in range(height)]
