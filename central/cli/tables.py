"""Tables in the manner of kubectl that keep to the width there is. `fit` and `wrap` only compute.

A column is as wide as its widest cell. Where all of them are too wide, texts fold at words (`folds`), down to `least`; what is too wide
even then loses the columns of the highest `rank`, and `…` ends the heading. A column of rank 0 is never left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

GLUE = "\u00a0"
"""In a cell: a space at which no line is broken; shown as a space."""
MORE = "…"
_GAP = 2
_WORD_ROOM = 8
_LEAST_HANGING = 20
_WORD = re.compile(r"[^ ,]*[ ,]*")


@dataclass(frozen=True)
class Column:
    """One column: its name, how soon it is left out (0: never), and whether its text folds, to `least` cells at the narrowest."""

    name: str
    rank: int = 0
    folds: bool = False
    least: int = 24

    def narrowest(self, texts: Sequence[str]) -> int:
        """Cells that it needs at the least: of a text that folds, a usual word stays whole."""
        natural = max([cell_len(self.name), *(cell_len(text) for text in texts)])
        if not self.folds:
            return natural
        longest_word = max((cell_len(word.rstrip()) for text in texts for word in _WORD.findall(text)), default=0)
        return min(natural, max(self.least, min(longest_word, self.least + _WORD_ROOM)))


def fit(ranks: Sequence[int], bounds: Sequence[tuple[int, int]], width: int) -> list[tuple[int, int]]:
    """Which columns are shown, each with its width in cells. Of one rank the rightmost is left out first.

    The line keeps to `width` unless the columns of rank 0 alone are too wide at their narrowest.

    Args:
        ranks: of each column.
        bounds: narrowest and natural width of each column.
        width: cells of a line.
    """
    shown = list(range(len(ranks)))
    while True:
        more = _GAP + len(MORE) if len(shown) < len(ranks) else 0
        spare = width - sum(bounds[at][0] for at in shown) - _GAP * (len(shown) - 1) - more
        droppable = [at for at in shown if ranks[at] > 0]
        if spare >= 0 or not droppable:
            break
        shown.remove(max(droppable, key=lambda at: (ranks[at], at)))
    widths = []
    for at in shown:
        narrowest, natural = bounds[at]
        taken = min(max(spare, 0), natural - narrowest)
        spare -= taken
        widths.append((at, narrowest + taken))
    return widths


def wrap(text: str, width: int) -> list[int]:
    """Offsets at which lines of `width` cells begin anew: after a space or a comma, within a word only where it alone is too long."""
    offsets: list[int] = []
    at = used = 0
    for word in _WORD.findall(text):
        if used and used + cell_len(word.rstrip()) > width:
            offsets.append(at)
            used = 0
        pieces = chop_cells(word, width) if cell_len(word.rstrip()) > width else [word]
        for piece in pieces[:-1]:
            at += len(piece)
            offsets.append(at)
            used = 0
        at += len(pieces[-1]) if pieces else 0
        used += cell_len(pieces[-1]) if pieces else 0
    return offsets


class FittedTable:
    """Rows of cells with markup; knows its width only when it is drawn."""

    def __init__(self, columns: Iterable[Column], rows: Iterable[Sequence[str]]) -> None:
        self.columns = list(columns)
        self.rows = [[Text.from_markup(cell) for cell in row] for row in rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Line by line."""
        layout = fit([column.rank for column in self.columns], self._bounds(), options.max_width)
        if any(column.name for column in self.columns):
            heading = [Text(self.columns[at].name, style="bold") for at, _ in layout]
            more = Text(MORE, style="dim") if len(layout) < len(self.columns) else Text()
            yield _join([*heading, more], [*(width for _, width in layout), 0])
        for row in self.rows:
            cells = [row[at].divide(wrap(row[at].plain, width)) for at, width in layout]
            for number in range(max((len(cell) for cell in cells), default=0)):
                yield _join([cell[number] if number < len(cell) else Text() for cell in cells], [width for _, width in layout])

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """As wide as its cells, within what there is."""
        widest = sum(natural for _, natural in self._bounds()) + _GAP * (len(self.columns) - 1)
        return Measurement(min(widest, options.max_width), min(widest, options.max_width))

    def _bounds(self) -> list[tuple[int, int]]:
        bounds = []
        for at, column in enumerate(self.columns):
            texts = [row[at].plain for row in self.rows]
            bounds.append((column.narrowest(texts), max([cell_len(column.name), *(cell_len(text) for text in texts)])))
        return bounds


class Hanging:
    """A line that goes on below its text, not below its head, where the terminal is too narrow."""

    def __init__(self, head: str, text: str) -> None:
        self.head, self.text = head, text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Line by line."""
        indent = cell_len(self.head)
        text = Text(self.text)
        parts = text.divide(wrap(self.text, max(options.max_width - indent, _LEAST_HANGING)))
        for number, part in enumerate(parts or [text]):
            part.rstrip()
            yield Text.assemble(self.head if number == 0 else " " * indent, part, no_wrap=True, overflow="ignore")


def _join(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text(no_wrap=True, overflow="ignore")
    for cell, width in zip(cells, widths, strict=True):
        shown = cell.copy()
        shown.rstrip()
        shown.plain = shown.plain.replace(GLUE, " ")
        line.append_text(shown)
        line.append(" " * (width - cell_len(shown.plain) + _GAP))
    line.rstrip()
    return line
