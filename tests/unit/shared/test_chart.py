"""A chart fits 80 columns, loses no peak, and shows a gap as a gap."""

from hypothesis import example, given
from hypothesis import strategies as st

from shared.chart import WIDTH, Series, draw_chart


def chart(points: list[tuple[float, float | None]], **options: object) -> list[str]:
    return draw_chart(Series("g1 level", "m", points), 0.0, 100.0, start="06:00", end="12:00", **options)  # type: ignore[arg-type]


def test_a_step_is_drawn_as_a_step() -> None:
    lines = chart([(float(second), 1.0 if second < 50 else 2.0) for second in range(101)], height=3, width=40, braille=False)
    assert lines == [
        "g1 level  2.00 m now, 1.00 to 2.00",
        "    2.00 |               ***************",
        "         |               *",
        "    1.00 |****************",
        "          06:00                    12:00",
    ]


def test_a_single_peak_among_many_samples_is_seen() -> None:
    flat: list[tuple[float, float | None]] = [(second / 100.0, 1.0) for second in range(10_000)]
    flat[5_000] = (50.0, 9.0)
    lines = chart(flat, braille=False)
    assert "*" in lines[1]
    assert "1.00 to 9.00" in lines[0]


def test_a_gap_stays_a_gap() -> None:
    lines = chart([(0.0, 1.0), (1.0, None), (99.0, 1.0)], braille=False)
    assert sum(line.count("*") for line in lines[1:-1]) == 2


def test_nothing_recorded_is_said() -> None:
    assert chart([]) == ["g1 level: nothing recorded from 06:00 to 12:00"]
    assert chart([(5.0, None), (500.0, 1.0)]) == ["g1 level: nothing recorded from 06:00 to 12:00"]


@given(
    points=st.lists(st.tuples(st.floats(-10.0, 110.0), st.one_of(st.none(), st.floats(-1e6, 1e6))), max_size=60),
    height=st.integers(1, 8),
    braille=st.booleans(),
)
@example(points=[(99.0, 100_000.0)], height=1, braille=False)
def test_any_samples_fit_the_terminal(points: list[tuple[float, float | None]], height: int, braille: bool) -> None:
    lines = chart(points, height=height, braille=braille)
    assert all(len(line) <= WIDTH for line in lines)
    assert len(lines) in (1, height + 2)
    if len(lines) > 1:
        assert any(character != " " for line in lines[1:-1] for character in line[10:])
