"""`python -m deploy.demo_canal`: see the package."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from deploy.demo_canal import story
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.simulation.harness import simulate
from edge_agent.gate_control.simulation.indicators import Indicators, indicators, unsafe_events
from edge_agent.gate_control.simulation.run import Played, Run
from edge_agent.gate_control.simulation.svg import draw_run
from edge_agent.gate_control.simulation.swmm import SwmmCanal
from shared.errors import MunbonError

PICTURE = Path("build/demo-canal.svg")


def main() -> int:
    """0: nothing unsafe happened; 1: something did; 2: it could not be run."""
    options = _arguments()
    duration_s = options.hours * story.HOUR_S
    try:
        site = story.site()
        _tell_beginning(site, duration_s)
        held_m3 = _spill_when_held(site, duration_s)
        run = _run(site, duration_s)
    except MunbonError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 2
    found = indicators(run, site)
    unsafe = unsafe_events(run, site, held_m3)
    _tell_answers(run)
    _tell_alarms(run)
    _tell_indicators(found)
    options.svg.parent.mkdir(parents=True, exist_ok=True)
    note = f"EPA SWMM, ASCE canal 1, four pools; {len(unsafe)} unsafe events; {found.spilled_m3:.0f} m³ spilled"
    marks = [Played(chapter.at_s, chapter.told) for chapter in story.CHAPTERS if chapter.at_s < duration_s]
    options.svg.write_text(draw_run(run, [site], title="A bad day on the canal", note=note, marks=marks), encoding="utf-8")
    _say(
        f"\n{run.duration_s / 3600:.0f} h of {len(run.gates)} gates in {run.wall_s:.0f} s: {run.speed_per_gate:,.0f} gate-seconds a second"
    )
    _say(f"picture: {options.svg}")
    for event in unsafe:
        _say(f"UNSAFE: {event}")
    _say("no unsafe event" if not unsafe else f"{len(unsafe)} unsafe events")
    return 1 if unsafe else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo-canal", description=__doc__)
    parser.add_argument("--hours", type=float, default=story.DAY_S / story.HOUR_S, help="end earlier")
    parser.add_argument("--svg", type=Path, default=PICTURE)
    return parser.parse_args()


def _run(site: SiteConfiguration, duration_s: float) -> Run:
    events = [event for event in story.events(site) if event.at_s < duration_s]
    with SwmmCanal(story.CANAL, site, story.water(), story.demands()) as canal, tempfile.TemporaryDirectory() as folder:
        return simulate(
            [site], [story.plan(site)], canal, duration_s=duration_s, state_dir=Path(folder), start_wall=story.START, events=events
        )


def _spill_when_held(site: SiteConfiguration, duration_s: float) -> Mapping[str, float]:
    """What the same day spills when no gate is ever moved: overtopping beyond that is control's own."""
    with SwmmCanal(story.CANAL, site, story.water(), story.demands()) as canal:
        canal.advance(duration_s)
        return canal.spilled_m3


def _tell_beginning(site: SiteConfiguration, duration_s: float) -> None:
    _say(f"Four pools of ASCE canal 1 in EPA SWMM, {len(list(site.gates()))} gates of one site, a scan every {site.scan_period_s:g} s.")
    for chapter in story.CHAPTERS:
        if chapter.at_s < duration_s:
            _say(f"  {_clock(chapter.at_s)}  {chapter.told}")


def _tell_answers(run: Run) -> None:
    refused = [answer for answer in run.answers if not answer.accepted]
    for answer in refused:
        _say(f"refused at {_clock(answer.at_s)}: {answer.what}: {answer.reason}")


def _tell_alarms(run: Run) -> None:
    raised = [alarm for alarm in run.alarms if alarm.change == "unacknowledged"]
    _say(f"\nAlarms: {len(raised)}")
    for alarm in raised:
        _say(f"  {_clock(alarm.at_s)}  {alarm.priority:7} {alarm.key:28} {alarm.reason}")


def _tell_indicators(found: Indicators) -> None:
    _say("\npool        MAE %   IAE %   StE %")
    for name, pool in found.pools.items():
        _say(f"{name:8} {pool.mae_pct:8.1f}{pool.iae_pct:8.2f}{pool.ste_pct:8.2f}")
    _say("gate     starts/day  travel m/day  IAQ m3/s")
    for name, gate in found.gates.items():
        _say(f"{name:8} {gate.starts_per_day:10.0f}{gate.travel_m_per_day:14.2f}{gate.iaq_m3s:10.2f}")
    _say(f"spilled  {found.spilled_m3:10.0f} m3")


def _clock(at_s: float) -> str:
    return (story.START + timedelta(seconds=at_s)).strftime("%H:%M")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
