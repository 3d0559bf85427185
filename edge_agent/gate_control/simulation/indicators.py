"""How well a level was held, and at what price to gates and canal. Pure.

MAE, IAE, StE and IAQ as in the ASCE tests (Clemmens et al. 1998; names and percent as in Bonet et al. 2019, tables 14, 15).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.simulation.run import CommandRecord, Run, Series

DAY_S = 86_400.0
STEADY_S = 7_200.0
"""At the end: over it the steady error is taken."""
OPENING_SLACK_PCT = 1e-6
PULSE_SLACK_PCT = 1.0
"""A pulse is timed from the position that was measured."""
SPILL_SLACK_M3 = 1.0


@dataclass(frozen=True)
class LevelIndicators:
    """Of one pool, in percent of the target depth."""

    mae_pct: float
    """Largest error."""
    iae_pct: float
    """Mean absolute error."""
    ste_pct: float
    """Error of the mean over the last two hours."""


@dataclass(frozen=True)
class GateIndicators:
    """Of one gate, over a day."""

    starts_per_day: float
    travel_m_per_day: float
    iaq_m3s: float
    """Flow changes beyond the one from first to last; 0 where the plant tells no flows."""


@dataclass(frozen=True)
class Indicators:
    """Of a whole run."""

    pools: Mapping[str, LevelIndicators]
    gates: Mapping[str, GateIndicators]
    spilled_m3: float

    @property
    def worst(self) -> dict[str, float]:
        """The largest figure of each column over pools and gates."""
        pools, gates = list(self.pools.values()), list(self.gates.values())
        return {
            "MAE %": max((one.mae_pct for one in pools), default=0.0),
            "IAE %": max((one.iae_pct for one in pools), default=0.0),
            "StE %": max((one.ste_pct for one in pools), default=0.0),
            "IAQ m3/s": max((one.iaq_m3s for one in gates), default=0.0),
            "starts/day": max((one.starts_per_day for one in gates), default=0.0),
            "travel m/day": max((one.travel_m_per_day for one in gates), default=0.0),
            "spilled m3": self.spilled_m3,
        }


def level_indicators(levels_m: Series, invert_m: float, target_depth_m: float) -> LevelIndicators:
    """Of levels above the datum, recorded at even distances.

    Raises:
        ValueError: nothing was recorded.
    """
    if not levels_m.values:
        raise ValueError("no level was recorded")
    errors = [abs(level_m - invert_m - target_depth_m) / target_depth_m for level_m in levels_m.values]
    last = levels_m.between(levels_m.times_s[-1] - STEADY_S, levels_m.times_s[-1]).values
    steady = abs(sum(last) / len(last) - invert_m - target_depth_m) / target_depth_m
    return LevelIndicators(100.0 * max(errors), 100.0 * sum(errors) / len(errors), 100.0 * steady)


def integrated_changes(values: Series) -> float:
    """Sum of all changes but the one from first to last: 0 where a quantity only ever goes one way (IAQ, IAW)."""
    if len(values.values) < 2:
        return 0.0
    return sum(abs(after - before) for before, after in pairwise(values.values)) - abs(values.values[0] - values.values[-1])


def sampled(values: Series, every_s: float) -> Series:
    """One value a control period, as the ASCE tests count them."""
    kept: list[tuple[float, float]] = []
    for at_s, value in zip(values.times_s, values.values, strict=True):
        if not kept or at_s - kept[-1][0] >= every_s - 1e-6:
            kept.append((at_s, value))
    return Series(tuple(at_s for at_s, _ in kept), tuple(value for _, value in kept))


def indicators(run: Run, site: SiteConfiguration, *, from_s: float = 0.0, to_s: float | None = None) -> Indicators:
    """Of the pools that have a target depth and a level at their far end, from a time on.

    Starts and travel are of the whole run, scaled to a day.
    """
    end_s = run.duration_s if to_s is None else to_s
    pools: dict[str, LevelIndicators] = {}
    for pool in site.pools:
        if pool.inlet is None or pool.target_depth_m is None or not pool.tail_levels or pool.tail_levels[0] not in run.series:
            continue
        levels_m = run.series[pool.tail_levels[0]].between(from_s, end_s)
        pools[pool.id] = level_indicators(levels_m, pool.invert_m, pool.target_depth_m)
    days = run.duration_s / DAY_S
    gates: dict[str, GateIndicators] = {}
    for structure in site.structures:
        flows = run.series.get(f"flow:{structure.id}", Series()).between(from_s, end_s)
        loop = structure.downstream_loop or structure.upstream_loop
        iaq = integrated_changes(sampled(flows, (loop or structure.flow_loop).control_period_s))
        for gate in structure.gates:
            gates[gate.id] = GateIndicators(run.starts[gate.id] / days, run.travel_m[gate.id] / days, iaq)
    return Indicators(pools, gates, sum(run.spilled_m3.values()))


def unsafe_events(run: Run, site: SiteConfiguration, held_spill_m3: Mapping[str, float]) -> tuple[str, ...]:
    """Overtopping that holding all gates would have avoided, a limit breached by a command, a command under tagout.

    Args:
        run: what happened.
        site: whose gates and limits.
        held_spill_m3: what the same canal spills when nobody moves a gate.
    """
    found: list[str] = []
    for pool, spilled_m3 in run.spilled_m3.items():
        if spilled_m3 > held_spill_m3.get(pool, 0.0) + SPILL_SLACK_M3:
            found.append(f"pool {pool} spilled {spilled_m3:.0f} m3, with all gates held {held_spill_m3.get(pool, 0.0):.0f} m3")
    for command in run.commands:
        gate = site.gate(command.gate)
        at = f"at {command.at_s:.0f} s gate {command.gate} was told to {command.verb}"
        aim_pct = _aim_pct(gate, command) if gate is not None else None
        if gate is not None and aim_pct is not None and _is_outside(gate, aim_pct, command):
            limits = f"{gate.limits.opening_min_pct:g} to {gate.limits.opening_max_pct:g} %"
            found.append(f"{at} to {aim_pct:.1f} %, outside {limits}: {command.reason}")
        if command.mode == "TAGGED_OUT" and command.verb != "stop":
            found.append(f"{at} under a tagout: {command.reason}")
    return tuple(found)


def _aim_pct(gate: Gate, command: CommandRecord) -> float | None:
    """Where a move or a pulse leads; None for a stop, and where the gate was not seen yet."""
    if command.run_s is None or command.position_pct is None:
        return command.opening_pct
    way_pct = 100.0 * command.run_s / gate.actuator.stroke_time_s
    return command.position_pct + (way_pct if command.verb == "raise" else -way_pct)


def _is_outside(gate: Gate, aim_pct: float, command: CommandRecord) -> bool:
    """Outside the limits and further out than it stands: the way back in is no breach."""
    low, high = gate.limits.opening_min_pct, gate.limits.opening_max_pct
    if command.position_pct is not None:
        low, high = min(low, command.position_pct), max(high, command.position_pct)
    slack_pct = OPENING_SLACK_PCT if command.run_s is None else PULSE_SLACK_PCT
    return not low - slack_pct <= aim_pct <= high + slack_pct
