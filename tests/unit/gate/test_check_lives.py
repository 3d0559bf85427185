"""What `check` calls good can be controlled: any such site is scanned without a crash, and no command leaves its limits."""

import copy
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.examples.canals import example_sites
from edge_agent.gate_control.check.finding import SiteInvalid
from edge_agent.gate_control.check.site_rules import check_site
from edge_agent.gate_control.check.yaml_site import parse_site
from edge_agent.gate_control.decide.plan import check_plan
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.profiles import facts_of
from edge_agent.gate_control.model.values import MoveTo, Now, Sample, WriteOutcome
from edge_agent.gate_control.replay.step import Given, Memory, after_writing, scan
from shared.contracts.gate_plan import DownstreamLevelObjective, FlowObjective, GateDirective, GatePlan, Objective, PositionObjective
from tests.fakes.gate import RUNNING, START

Path = tuple[str | int, ...]
SITES = [yaml.safe_load(example_sites()[f"canal-8-sites/{number}/site.yaml"]) for number in (2, 8)]


def figures(part: Any, path: Path = ()) -> Iterator[tuple[Path, float]]:
    """Every number of a document, with its place."""
    if isinstance(part, dict | list):
        for key, value in part.items() if isinstance(part, dict) else enumerate(part):
            yield from figures(value, (*path, key))
    elif isinstance(part, int | float) and not isinstance(part, bool):
        yield path, part


@st.composite
def good_sites(draw: st.DrawFn) -> SiteConfiguration | None:
    """An example with some figures changed, where `check` finds nothing; None where it does."""
    document = copy.deepcopy(draw(st.sampled_from(SITES)))
    for path, figure in draw(st.lists(st.sampled_from(list(figures(document))), min_size=1, max_size=3)):
        new = draw(st.sampled_from([0.2, 0.5, 0.9, 1.1, 2.0, 5.0])) * figure
        place = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = round(new) if isinstance(figure, int) else new
    try:
        site, lines = parse_site(json.dumps(document), source="site.yaml")
    except SiteInvalid:
        return None
    return None if check_site(site, lines) else site


def samples(site: SiteConfiguration, openings_pct: dict[str, float], time_s: float, off_m: float) -> list[Sample]:
    """What its devices might say: levels around the middle of their setpoints, gates where they were sent."""
    levels = {name: pool for pool in site.pools for name in (*pool.head_levels, *pool.tail_levels)}
    positions = {gate.actuator.position: openings_pct[gate.id] for gate in site.gates()}
    found = []
    for point in site.points:
        middle = 0.5 * (point.valid_min + point.valid_max) if point.unit != "state" else 0.0
        if point.id in levels:
            middle = 0.5 * (levels[point.id].level_min_m + levels[point.id].level_max_m) + off_m
        found.append(Sample(point.id, positions.get(point.id, middle), time_s))
    return found + [Sample(f"{gate.id}.{fact}", float(fact == "remote"), time_s) for gate in site.gates() for fact in facts_of(gate)]


def objective_for(site: SiteConfiguration, kind: str, share: float) -> Objective:
    structure = site.structures[0]
    pool, limits = site.pools_below(structure.id)[0], structure.gates[0].limits
    if kind == "flow":
        return FlowObjective(flow_m3s=share * structure.capacity_m3s)
    if kind == "position":
        return PositionObjective(opening_pct=limits.opening_min_pct + share * (limits.opening_max_pct - limits.opening_min_pct))
    return DownstreamLevelObjective(level_m=pool.level_min_m + share * (pool.level_max_m - pool.level_min_m))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    site=good_sites(),
    kind=st.sampled_from(["flow", "position", "level"]),
    share=st.floats(0.0, 1.0),
    story=st.lists(st.tuples(st.sampled_from([1.0, 1.0, 10.0, 60.0]), st.floats(-0.05, 0.05)), min_size=20, max_size=40),
)
def test_what_check_calls_good_is_controlled_within_its_limits(
    site: SiteConfiguration | None, kind: str, share: float, story: list[tuple[float, float]]
) -> None:
    if site is None:
        return
    name = site.structures[0].id
    plan = GatePlan(site=site.site, generation=1, valid_from=START, gates={name: GateDirective(objective=objective_for(site, kind, share))})
    assert check_plan(plan, site, Now(0.0, START, True)) == ()
    memory = Memory(state=SiteState(modes={gate.id: RUNNING for gate in site.gates()}))
    openings, time_s = {gate.id: 50.0 for gate in site.gates()}, 0.0
    for step_s, off_m in story:
        time_s += max(site.scan_period_s, step_s)
        now = Now(time_s, START + timedelta(seconds=time_s), True)
        scanned = scan(site, memory, Given(now, samples(site, openings, time_s, off_m), plan))
        for command in scanned.decision.commands:
            gate = site.gate(command.gate)
            assert gate is not None
            if isinstance(command, MoveTo):
                assert gate.limits.opening_min_pct <= command.opening_pct <= gate.limits.opening_max_pct
                openings[command.gate] = command.opening_pct
        memory = after_writing(scanned.memory, [WriteOutcome(one.gate, one) for one in scanned.decision.commands], now)
