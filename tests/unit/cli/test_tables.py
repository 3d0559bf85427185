"""Tables fit: what matters is always there, no line is too long, nothing of a cell is lost."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape

from central.cli.tables import GLUE, MORE, Column, FittedTable, Hanging, fit, wrap

_BOUNDS = st.tuples(st.integers(1, 40), st.integers(0, 60)).map(lambda pair: (pair[0], pair[0] + pair[1]))
_COLUMNS = st.lists(st.tuples(st.integers(0, 4), _BOUNDS), min_size=1, max_size=10)
_TEXT = st.text(alphabet=st.sampled_from("ab ,-=ข้้漢"), max_size=60)


def draw(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    console = Console(file=StringIO(), width=width, soft_wrap=True, color_system=None)
    console.print(FittedTable(columns, rows))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


@given(_COLUMNS, st.integers(10, 200))
def test_what_matters_is_shown_and_the_line_is_kept_when_it_can_be(columns: list[tuple[int, tuple[int, int]]], width: int) -> None:
    ranks, bounds = [rank for rank, _ in columns], [bound for _, bound in columns]
    shown = fit(ranks, bounds, width)
    positions = [at for at, _ in shown]
    assert positions == sorted(positions)
    assert {at for at, rank in enumerate(ranks) if rank == 0} <= set(positions)
    assert all(bounds[at][0] <= cells <= bounds[at][1] for at, cells in shown)
    more = 3 if len(shown) < len(ranks) else 0
    used = sum(cells for _, cells in shown) + 2 * (len(shown) - 1) + more
    assert used <= width or all(ranks[at] == 0 and cells == bounds[at][0] for at, cells in shown)
    left_out = [rank for at, rank in enumerate(ranks) if at not in positions]
    assert not left_out or max((ranks[at] for at in positions), default=0) <= max(left_out)


@given(_COLUMNS, st.integers(10, 200))
def test_a_wider_terminal_never_shows_less(columns: list[tuple[int, tuple[int, int]]], width: int) -> None:
    ranks, bounds = [rank for rank, _ in columns], [bound for _, bound in columns]
    assert {at for at, _ in fit(ranks, bounds, width)} <= {at for at, _ in fit(ranks, bounds, width + 7)}


@given(_TEXT, st.integers(2, 30))
def test_folding_keeps_to_the_width_and_loses_nothing(text: str, width: int) -> None:
    offsets = wrap(text, width)
    assert offsets == sorted(set(offsets))
    edges = [0, *offsets, len(text)]
    parts = [text[start:end] for start, end in pairwise(edges)]
    assert "".join(parts) == text
    assert all(cell_len(part.rstrip()) <= width for part in parts)


def test_words_stay_whole_and_labels_break_after_commas() -> None:
    columns = (Column("NODE"), Column("LABELS", folds=True, least=10))
    assert draw(columns, [("pi-north", "canal=main,site=north")], 24) == [
        "NODE      LABELS",
        "pi-north  canal=main,",
        "          site=north",
    ]


def test_the_least_important_column_goes_first_and_the_heading_says_so() -> None:
    columns = (Column("APP"), Column("BY", rank=2), Column("AGE", rank=1), Column("STATE"))
    rows = [("gate-ui", "dev-operator", "16s", "present")]
    assert draw(columns, rows, 80)[1] == "gate-ui  dev-operator  16s  present"
    assert draw(columns, rows, 30) == [f"APP      AGE  STATE    {MORE}", "gate-ui  16s  present"]
    assert draw(columns, rows, 20) == [f"APP      STATE    {MORE}", "gate-ui  present"]


def test_glued_words_are_not_parted_and_the_glue_is_a_space() -> None:
    cell = f"web@1.0.0{GLUE}Ready, ui@1.0.0{GLUE}RolledBack"
    assert draw((Column("APPS", folds=True, least=16),), [(cell,)], 20) == ["APPS", "web@1.0.0 Ready,", "ui@1.0.0 RolledBack"]


def test_markup_is_no_part_of_the_width_and_escaped_text_is_shown_as_it_is() -> None:
    assert draw((Column("A"), Column("B")), [("[red]x[/]", escape("[y]")), ("long", "z")], 80) == ["A     B", "x     [y]", "long  z"]


def test_a_long_line_goes_on_below_its_text() -> None:
    console = Console(file=StringIO(), width=40, soft_wrap=True)
    console.print(Hanging("10:00  Failed  ", "container web, exit code 3: no config found"))
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().splitlines() == [
        "10:00  Failed  container web, exit code",
        "               3: no config found",
    ]
