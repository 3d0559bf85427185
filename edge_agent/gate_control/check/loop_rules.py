"""Loops: what they hold, whether it is stable, and whether two of them hold the same water. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.gate_control.check.finding import Path, Remark
from edge_agent.gate_control.decide import tuning
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.pools import LevelLoop, Pool, Structure

AGE_SCANS = 2.0


@dataclass(frozen=True)
class PlacedLoop:
    """A level loop with the pool whose level it holds."""

    structure: Structure
    key: str
    """`upstream_loop` or `downstream_loop`."""
    loop: LevelLoop
    pool: Pool
    is_local: bool
    """The level stands beside the gate: no delay of the pool."""
    path: Path
    lag_s: float = 0.0
    """Of the slowest sensor of that level."""

    @property
    def is_head(self) -> bool:
        """The level is that of the pool's upper end."""
        return self.is_local and self.key == "downstream_loop"

    def margins(self) -> tuple[tuning.Margin, tuning.Margin]:
        """At low and at high flow."""
        low, high = tuning.loop_dynamics(self.pool, is_local=self.is_local, lag_s=self.lag_s)
        return tuning.loop_margin(low, self.loop, self.pool), tuning.loop_margin(high, self.loop, self.pool)

    def max_age_s(self) -> float:
        """Oldest level that the loop may use."""
        return tuning.loop_max_age_s(self.pool, self.loop, is_local=self.is_local, lag_s=self.lag_s)

    def tuned(self, margin_deg: float) -> LevelLoop:
        """Gains with which it would keep a margin.

        Raises:
            ValueError: see `tune_loop`.
        """
        return tuning.tune_loop(self.pool, margin_deg, is_local=self.is_local, lag_s=self.lag_s)


def placed_loops(site: SiteConfiguration) -> Iterator[PlacedLoop]:
    """Every level loop that has a pool to hold."""
    for index, structure in enumerate(site.structures):
        above, below = site.pool_above(structure.id), site.pools_below(structure.id)
        path: Path = ("structures", index)
        if structure.upstream_loop is not None and above is not None:
            lag_s = site.lag_s(above.tail_levels)
            yield PlacedLoop(structure, "upstream_loop", structure.upstream_loop, above, True, (*path, "upstream_loop"), lag_s)
        if structure.downstream_loop is not None and len(below) == 1:
            is_local, pool = structure.downstream_end == "local", below[0]
            lag_s = site.lag_s(pool.head_levels if is_local else pool.tail_levels)
            yield PlacedLoop(structure, "downstream_loop", structure.downstream_loop, pool, is_local, (*path, "downstream_loop"), lag_s)


def loop_remarks(site: SiteConfiguration) -> Iterator[Remark]:
    """Everything about level and flow loops."""
    for index, structure in enumerate(site.structures):
        yield from _places(site, structure, ("structures", index))
        yield from _flow(site, structure, ("structures", index))
    for placed in placed_loops(site):
        yield from _margin(site, placed) if not tuning.implausible(placed.pool, placed.loop) else _implausible(site, placed)
        yield from _decoupler(site, placed)
        if placed.loop.control_period_s < site.scan_period_s:
            problem = f"control_period_s {placed.loop.control_period_s:g} is below scan_period_s {site.scan_period_s:g}"
            yield Remark((*placed.path, "control_period_s"), problem, "there is nothing new between scans", "make it a few scans or more")
    yield from _one_integrator_each(site)
    yield from _fallbacks(site)


def _places(site: SiteConfiguration, structure: Structure, path: Path) -> Iterator[Remark]:
    above, below = site.pool_of_water(structure.id), site.pools_below(structure.id)
    loops = structure.upstream_loop is not None or structure.downstream_loop is not None
    if loops and (above is None or not above.tail_levels):
        problem = f"structure {structure.id} holds a level, but no level above it is known"
        why = "without it no opening can be computed for a flow"
        yield Remark(path, problem, why, "make it the outlet of a pool with tail_levels (a reservoir is a pool too), or an offtake of one")
    if structure.upstream_loop is not None and above is not None and site.pool_above(structure.id) is None:
        problem = f"structure {structure.id} is an offtake of pool {above.id}, and its upstream_loop would hold that pool"
        why = "the gate at the pool's end, or the one that feeds it, holds its level; a turnout delivers"
        yield Remark((*path, "upstream_loop"), problem, why, "remove the loop, or make the structure the pool's outlet")
    if structure.downstream_loop is None:
        return
    if len(below) != 1:
        problem = f"structure {structure.id} feeds {len(below)} pools, and its downstream_loop can hold the level of one"
        yield Remark(
            (*path, "downstream_loop"), problem, "which level it holds would be a guess", "let it feed one pool, or remove the loop"
        )
        return
    key = "head_levels" if structure.downstream_end == "local" else "tail_levels"
    if not getattr(below[0], key):
        problem = f"pool {below[0].id} has no {key}, which the downstream_loop ({structure.downstream_end}) would hold"
        yield Remark((*path, "downstream_loop"), problem, "there is nothing to measure its error by", f"name a point in {key}")


def _flow(site: SiteConfiguration, structure: Structure, path: Path) -> Iterator[Remark]:
    flow = structure.flow_loop
    if flow.control_period_s < site.scan_period_s:
        problem = f"control_period_s {flow.control_period_s:g} is below scan_period_s {site.scan_period_s:g}"
        yield Remark((*path, "flow_loop", "control_period_s"), problem, "there is nothing new between scans", "make it a few scans or more")
    stroke_s = max(gate.actuator.stroke_time_s for gate in structure.gates)
    if flow.ti_s < 2.0 * flow.control_period_s:
        problem = f"ti_s {flow.ti_s:g} is below two control periods ({2.0 * flow.control_period_s:g} s; the stroke takes {stroke_s:g} s)"
        why = "the correction would swing the gate instead of trimming it"
        yield Remark((*path, "flow_loop", "ti_s"), problem, why, "make it some control periods long")
    for index, name in enumerate(flow.flow_points):
        point = site.point(name)
        if point is not None and point.unit != "m3s":
            problem = f"point {name} is in {point.unit}, not in m3s"
            yield Remark((*path, "flow_loop", "flow_points", index), problem, "it stands for a flow", "name a flow, or correct its unit")


def _margin(site: SiteConfiguration, placed: PlacedLoop) -> Iterator[Remark]:
    wanted_deg = site.phase_margin_min_deg
    low, high = placed.margins()
    if min(low.phase_margin_deg, high.phase_margin_deg) < wanted_deg:
        problem = (
            f"phase margin of pool {placed.pool.id} is {low.phase_margin_deg:.1f} degrees at low"
            f" and {high.phase_margin_deg:.1f} at high flow, below {wanted_deg:g}"
        )
        why = "delay, filter and hold together turn the correction round: the level swings, and every gate below swings with it"
        yield Remark((*placed.path, "kp_m2_per_s"), problem, why, _safe(placed, wanted_deg))
    elif min(low.gain_margin_db, high.gain_margin_db) < tuning.GAIN_MARGIN_DB:
        least_db = min(low.gain_margin_db, high.gain_margin_db)
        problem = f"gain margin of pool {placed.pool.id} is {least_db:.1f} dB, below {tuning.GAIN_MARGIN_DB:g}"
        why = "a Cd that is wrong, or the pool's own wave, makes it oscillate"
        yield Remark((*placed.path, "kp_m2_per_s"), problem, why, _safe(placed, wanted_deg))
    oldest_s = placed.max_age_s()
    is_told = min(low.phase_margin_deg, high.phase_margin_deg) < wanted_deg and oldest_s == 0.0
    if oldest_s < AGE_SCANS * site.scan_period_s and not is_told:
        problem = f"levels older than {oldest_s:.1f} s may not be used, and a scan takes {site.scan_period_s:g} s"
        yield Remark((*placed.path, "kp_m2_per_s"), problem, "one lost answer would freeze the loop", "lower kp, or scan faster")


def _implausible(site: SiteConfiguration, placed: PlacedLoop) -> Iterator[Remark]:
    number = next(index for index, pool in enumerate(site.pools) if pool.id == placed.pool.id)
    for keys, value in tuning.implausible(placed.pool, placed.loop):
        path: Path = (*placed.path, *keys) if hasattr(placed.loop, keys[0]) else ("pools", number, *keys)
        yield Remark(path, f"{keys[-1]} {value:g} is no figure of a canal", "no margin can be worked out with it", "correct figure or unit")


def _safe(placed: PlacedLoop, margin_deg: float) -> str:
    try:
        return _safe_gains(placed, margin_deg)
    except ValueError:
        return "measure delay_s and area_m2 anew, and give filter_s and control_period_s in seconds: no gains keep the margin with these"


def _safe_gains(placed: PlacedLoop, margin_deg: float) -> str:
    safe = tuning.safe_range(placed.pool, placed.loop, margin_deg, is_local=placed.is_local, lag_s=placed.lag_s)
    tuned = placed.tuned(margin_deg)
    return (
        f"with this filter ({placed.loop.filter_s:g} s) and period ({placed.loop.control_period_s:g} s) kp_m2_per_s"
        f" {safe.kp_low_m2_per_s:g} to {safe.kp_high_m2_per_s:g} at ti_s {safe.ti_s:g}, or ti_s {safe.ti_low_s:g} or more at kp_m2_per_s"
        f" {safe.kp_high_m2_per_s:g}; or as 'munbon-gate tune' says for {margin_deg:g} degrees: kp_m2_per_s {tuned.kp_m2_per_s:g},"
        f" ti_s {tuned.ti_s:g}, filter_s {tuned.filter_s:g}, control_period_s {tuned.control_period_s:g}"
    )


def _decoupler(site: SiteConfiguration, placed: PlacedLoop) -> Iterator[Remark]:
    named, point_name = placed.loop.decoupler_structure, placed.loop.decoupler_flow_point
    expected = placed.pool.outlet if placed.key == "downstream_loop" else placed.pool.inlet
    if named is not None and named != expected:
        end = "end" if placed.key == "downstream_loop" else "head"
        problem = f"decoupler_structure {named} does not stand at the {end} of pool {placed.pool.id}"
        why = "its flow has nothing to do with this level, and would disturb it"
        yield Remark((*placed.path, "decoupler_structure"), problem, why, f"name {expected}" if expected else "remove it")
    if named is not None and point_name is not None:
        problem = "decoupler_structure and decoupler_flow_point both say whose flow is passed on"
        yield Remark(
            (*placed.path, "decoupler_flow_point"), problem, "the flow would count twice", "keep one: the point for another site's gate"
        )
    point = site.point(point_name) if point_name is not None else None
    if point is not None and point.unit != "m3s":
        problem = f"point {point.id} is in {point.unit}, not in m3s"
        yield Remark((*placed.path, "decoupler_flow_point"), problem, "it stands for a flow", "name a flow, or correct its unit")


def _one_integrator_each(site: SiteConfiguration) -> Iterator[Remark]:
    """Two structures that may both hold one pool, by plan or by fallback, in whatever combination."""
    holders: dict[str, PlacedLoop] = {}
    for placed in placed_loops(site):
        other = holders.setdefault(placed.pool.id, placed)
        if other.structure.id != placed.structure.id:
            problem = f"{placed.structure.id} {placed.key} and {other.structure.id} {other.key} both hold pool {placed.pool.id}"
            why = (
                "two integrators on one level drift against each other until one gate is open and the other shut;"
                " a plan, or a fallback of either, would bring it about"
            )
            yield Remark(placed.path, problem, why, "leave the pool to one of them; the other gets no loop on it, and another fallback")


def _fallbacks(site: SiteConfiguration) -> Iterator[Remark]:
    for index, structure in enumerate(site.structures):
        kinds = {gate.fallback.kind == "level" for gate in structure.gates}
        if len(kinds) > 1:
            path: Path = ("structures", index, "gates")
            problem = f"some gates of {structure.id} fall back to a level, others not"
            yield Remark(path, problem, "half a structure cannot hold a level", "give all its gates the same kind of fallback")
        elif kinds == {True} and len({gate.fallback for gate in structure.gates}) > 1:
            path = ("structures", index, "gates")
            problem = f"the gates of {structure.id} fall back to a level, each otherwise"
            why = "one integrator moves them all: point, level and time of the first would hold for the others too"
            yield Remark(path, problem, why, "give all its gates the same fallback")
        for bay, gate in enumerate(structure.gates):
            above = site.pool_above(structure.id)
            if gate.fallback.kind == "open_on_high" and (above is None or not above.tail_levels):
                where: Path = ("structures", index, "gates", bay, "fallback", "kind")
                problem = f"gate {gate.id} falls back to open_on_high, but no level above it is known"
                yield Remark(
                    where, problem, "nothing would tell it that the water is high", "name tail_levels of the pool above, or use 'hold'"
                )
            if gate.fallback.kind == "level" and gate.fallback.level_point is not None:
                yield from _level_fallback(
                    site, structure, gate.fallback.level_point, gate.fallback.level_m, ("structures", index, "gates", bay, "fallback")
                )


def _level_fallback(site: SiteConfiguration, structure: Structure, name: str, level_m: float | None, path: Path) -> Iterator[Remark]:
    point = site.point(name)
    if point is not None and point.remote:
        why = "the fallback is for the loss of another site; it must not need one"
        yield Remark((*path, "level_point"), f"point {name} belongs to site {point.remote}", why, "name a local level")
    for placed in placed_loops(site):
        if placed.structure.id != structure.id:
            continue
        ends = placed.pool.head_levels if placed.key == "downstream_loop" and placed.is_local else placed.pool.tail_levels
        if name in ends:
            if level_m is not None and not placed.pool.level_min_m <= level_m <= placed.pool.level_max_m:
                low, high = placed.pool.level_min_m, placed.pool.level_max_m
                problem = f"level_m {level_m:g} lies outside the setpoints of pool {placed.pool.id}, {low:g} to {high:g}"
                yield Remark((*path, "level_m"), problem, "no plan could ask for it either", "choose a level between the two")
            return
    problem = f"no loop of {structure.id} holds {name}"
    why = "a fallback to a level needs gains for it"
    yield Remark((*path, "level_point"), problem, why, "add the structure's other loop, or use fallback 'hold'")
