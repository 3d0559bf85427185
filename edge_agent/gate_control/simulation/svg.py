"""A run as one picture: levels against their targets, openings, flows, and the alarms under them. Plain SVG, no library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from html import escape

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.simulation.run import AlarmRecord, Played, Run, Series

WIDTH, LEFT, RIGHT, TOP = 1200.0, 74.0, 210.0, 84.0
PANEL, GAP, ROW = 200.0, 54.0, 17.0
COLOURS = ("#0b6e99", "#c2410c", "#15803d", "#7c3aed", "#a16207", "#be185d", "#334155", "#0f766e")
"""Dark enough on white, and apart for most eyes; a line's name stands at its end."""
PRIORITY_COLOURS = {"urgent": "#b91c1c", "high": "#dc2626", "medium": "#ea9a0c", "low": "#9aa5b1"}
MAX_POINTS = 900
COLUMNS = 2
MAX_ALARM_ROWS = 16
NOT_RAISED = frozenset({"normal", "returned"})


@dataclass(frozen=True)
class Line:
    """One line of a panel."""

    name: str
    series: Series


@dataclass(frozen=True)
class Panel:
    """One set of axes."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    reference: float | None = None
    """A value with a line of its own, dashed."""
    at_least: float = 0.0
    """Range that is shown however little moves."""


def draw_run(run: Run, sites: Sequence[SiteConfiguration], *, title: str, note: str = "", marks: Sequence[Played] | None = None) -> str:
    """SVG text: depth errors of all pools with a target, openings of all gates, flows where the plant tells them, alarms.

    `marks`: what the numbered lines are about; none: every event that was played after the start.
    """
    told = [played for played in run.played if played.at_s > 0.0] if marks is None else list(marks)
    panels = [panel for panel in (_levels(run, sites), _openings(run, sites), _flows(run, sites)) if panel.lines]
    bars = _alarm_bars(run.alarms, run.duration_s)
    height = TOP + len(panels) * (PANEL + GAP) + ROW * len(bars) + 60.0 + 15.0 * math.ceil(len(told) / COLUMNS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {height:.0f}" width="{WIDTH:.0f}" height="{height:.0f}"'
        ' font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif" font-size="12" fill="#1f2933">',
        f'<rect width="{WIDTH:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        _text(LEFT, 28, title, size=18, bold=True),
        _text(LEFT, 46, note, colour="#52606d"),
    ]
    top = TOP
    for panel in panels:
        parts += _panel(panel, run, top)
        top += PANEL + GAP
    parts += _alarms(bars, run, top)
    parts += _marks(run, told, TOP, top - GAP)
    parts += _told(run, told, top + ROW * len(bars) + 48.0)
    parts.append("</svg>\n")
    return "\n".join(parts)


def _levels(run: Run, sites: Sequence[SiteConfiguration]) -> Panel:
    lines: list[Line] = []
    for pool in {pool.id: pool for site in sites for pool in site.pools}.values():
        if pool.inlet is None or pool.target_depth_m is None or not pool.tail_levels or pool.tail_levels[0] not in run.series:
            continue
        found, target_m = run.series[pool.tail_levels[0]], pool.invert_m + pool.target_depth_m
        lines.append(Line(pool.id, Series(found.times_s, tuple(100.0 * (value - target_m) for value in found.values))))
    return Panel("Level of each pool at its far end, over its target", "cm", tuple(lines), reference=0.0, at_least=4.0)


def _openings(run: Run, sites: Sequence[SiteConfiguration]) -> Panel:
    gates = {gate.id: gate for site in sites for gate in site.gates()}
    lines = [Line(name, run.series[gate.actuator.position]) for name, gate in gates.items() if gate.actuator.position in run.series]
    return Panel("Opening of each gate", "%", tuple(lines), at_least=4.0)


def _flows(run: Run, sites: Sequence[SiteConfiguration]) -> Panel:
    names = dict.fromkeys(structure.id for site in sites for structure in site.structures)
    lines = [Line(name, run.series[f"flow:{name}"]) for name in names if f"flow:{name}" in run.series]
    return Panel("Flow through each structure", "m³/s", tuple(lines), at_least=0.1)


def _panel(panel: Panel, run: Run, top: float) -> list[str]:
    values = [value for line in panel.lines for value in line.series.values if math.isfinite(value)]
    low, high = _range(values, panel)
    bottom = top + PANEL

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * PANEL

    parts = [_text(LEFT, top - 9, f"{panel.title} ({panel.unit})", bold=True)]
    step = _nice_step(high - low, 5)
    tick = math.ceil(low / step - 1e-9) * step
    while tick <= high + 1e-9:
        parts.append(_rule(LEFT, y(tick), WIDTH - RIGHT, y(tick), "#e4e7eb"))
        parts.append(_text(LEFT - 8, y(tick) + 4, f"{tick:.4g}" if abs(tick) > step / 1e6 else "0", anchor="end", colour="#52606d"))
        tick += step
    if panel.reference is not None:
        parts.append(_rule(LEFT, y(panel.reference), WIDTH - RIGHT, y(panel.reference), "#1f2933", dash="5 4"))
    parts += _hours(run, top, bottom)
    for number, line in enumerate(panel.lines):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{_x(at_s, run):.1f},{y(value):.1f}" for at_s, value in _thinned(line.series))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-linejoin="round"/>')
    ends = [(y(line.series.values[-1]), line.name, COLOURS[number % len(COLOURS)]) for number, line in enumerate(panel.lines)]
    parts += [_text(WIDTH - RIGHT + 8, at + 4, name, colour=colour, bold=True) for at, name, colour in _spread(ends, top, bottom)]
    return parts


def _range(values: Sequence[float], panel: Panel) -> tuple[float, float]:
    found = [*values, *([panel.reference] if panel.reference is not None else [])] or [0.0]
    low, high = min(found), max(found)
    missing = max(0.0, panel.at_least - (high - low))
    margin = 0.05 * (high - low + missing)
    return low - missing / 2.0 - margin, high + missing / 2.0 + margin


def _nice_step(span: float, count: int) -> float:
    raw = span / count
    unit = 10.0 ** math.floor(math.log10(raw))
    return next(unit * factor for factor in (1.0, 2.0, 5.0, 10.0) if unit * factor >= raw - 1e-12)


def _spread(ends: Sequence[tuple[float, str, str]], top: float, bottom: float) -> list[tuple[float, str, str]]:
    """Names at the ends of their lines, moved apart where they would overlap."""
    placed: list[tuple[float, str, str]] = []
    at = top - 13.0
    for wanted, name, colour in sorted(ends):
        at = max(at + 13.0, wanted)
        placed.append((at, name, colour))
    over = max(0.0, at - bottom)
    return [(place - over, name, colour) for place, name, colour in placed]


def _thinned(series: Series) -> list[tuple[float, float]]:
    """So few points that the file stays small; of each stretch the least and the greatest, so that no peak is lost."""
    pairs = list(zip(series.times_s, series.values, strict=True))
    size = max(1, math.ceil(len(pairs) / (MAX_POINTS / 2)))
    if size <= 2:
        return pairs
    kept: list[tuple[float, float]] = []
    for first in range(0, len(pairs), size):
        stretch = pairs[first : first + size]
        kept += sorted({min(stretch, key=lambda pair: pair[1]), max(stretch, key=lambda pair: pair[1])})
    return [*kept, pairs[-1]]


def _x(at_s: float, run: Run) -> float:
    return LEFT + at_s / run.duration_s * (WIDTH - LEFT - RIGHT)


def _hours(run: Run, top: float, bottom: float) -> list[str]:
    parts = []
    step_s = max(1.0, _nice_step(run.duration_s / 3600.0, 12)) * 3600.0
    step_s = {5.0 * 3600.0: 6.0 * 3600.0, 10.0 * 3600.0: 12.0 * 3600.0}.get(step_s, step_s)
    at_s = 0.0
    while at_s <= run.duration_s + 1e-6:
        x = _x(at_s, run)
        parts.append(_rule(x, top, x, bottom, "#eef1f4"))
        clock = (run.start_wall + timedelta(seconds=at_s)).strftime("%H:%M")
        parts.append(_text(x, bottom + 15, clock, anchor="middle", colour="#52606d"))
        at_s += step_s
    return parts


@dataclass(frozen=True)
class _Bar:
    key: str
    priority: str
    spans_s: tuple[tuple[float, float], ...]


def _alarm_bars(alarms: Sequence[AlarmRecord], duration_s: float) -> list[_Bar]:
    """One row an alarm; the worst first where there are too many."""
    began: dict[str, float] = {}
    spans: dict[str, list[tuple[float, float]]] = {}
    priorities: dict[str, str] = {}
    for record in alarms:
        priorities[record.key] = record.priority or priorities.get(record.key, "")
        if record.change in NOT_RAISED:
            if record.key in began:
                spans.setdefault(record.key, []).append((began.pop(record.key), record.at_s))
        else:
            began.setdefault(record.key, record.at_s)
    for key, at_s in began.items():
        spans.setdefault(key, []).append((at_s, duration_s))
    order = list(PRIORITY_COLOURS)
    bars = [_Bar(key, priorities[key], tuple(found)) for key, found in spans.items()]
    bars.sort(key=lambda bar: (order.index(bar.priority) if bar.priority in order else len(order), bar.spans_s[0]))
    return sorted(bars[:MAX_ALARM_ROWS], key=lambda bar: bar.spans_s[0])


def _alarms(bars: Sequence[_Bar], run: Run, top: float) -> list[str]:
    parts = [_text(LEFT, top - 9, "Alarms" if bars else "No alarm", bold=True)]
    for number, bar in enumerate(bars):
        y = top + number * ROW
        parts.append(_rule(LEFT, y + ROW / 2, WIDTH - RIGHT, y + ROW / 2, "#eef1f4"))
        colour = PRIORITY_COLOURS.get(bar.priority, "#9aa5b1")
        for begin_s, end_s in bar.spans_s:
            x = _x(begin_s, run)
            width = max(3.0, _x(end_s, run) - x)
            parts.append(f'<rect x="{x:.1f}" y="{y + 3:.1f}" width="{width:.1f}" height="{ROW - 6:.1f}" rx="2" fill="{colour}"/>')
        parts.append(_text(WIDTH - RIGHT + 8, y + ROW / 2 + 4, bar.key, size=11))
    x = LEFT
    y = top + len(bars) * ROW + 22
    for priority, colour in PRIORITY_COLOURS.items():
        if any(bar.priority == priority for bar in bars):
            parts.append(f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="10" height="10" rx="2" fill="{colour}"/>')
            parts.append(_text(x + 15, y, priority, colour="#52606d", size=11))
            x += 70
    return parts


def _marks(run: Run, told: Sequence[Played], top: float, bottom: float) -> list[str]:
    """Numbered lines over all panels."""
    parts: list[str] = []
    for number, played in enumerate(told, start=1):
        x = _x(played.at_s, run)
        parts.append(_rule(x, top, x, bottom, "#b91c1c", dash="2 3"))
        parts.append(_text(x + 3, top + 10 + 11 * ((number - 1) % 3), str(number), colour="#b91c1c", size=10, bold=True))
    return parts


def _told(run: Run, told: Sequence[Played], y: float) -> list[str]:
    parts: list[str] = []
    for number, played in enumerate(told, start=1):
        clock = (run.start_wall + timedelta(seconds=played.at_s)).strftime("%H:%M")
        column, row = divmod(number - 1, math.ceil(len(told) / COLUMNS))
        x = LEFT + column * (WIDTH - LEFT) / COLUMNS
        parts.append(_text(x, y + row * 15.0, f"{number}  {clock}  {played.text}", colour="#b91c1c", size=11))
    return parts


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, colour: str = "#1f2933", bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}"{weight}>{escape(text)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str, *, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="1"{dashed}/>'
