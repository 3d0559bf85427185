"""Pools as a tree, the structures between them, and the loops that hold levels and flows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edge_agent.gate_control.model.devices import Name, NotNegative, Positive, Settings
from edge_agent.gate_control.model.gates import Drawdown, Gate
from shared.contracts.base import GateId


class PoolDynamics(Settings):
    """Integrator-delay parameters at one flow: `A dh/dt = Qin(t - tau) - Qout` (Schuurmans; Litrico and Fromion 2004)."""

    flow_m3s: NotNegative
    delay_s: NotNegative
    area_m2: Positive


class Offtake(Settings):
    """An outlet whose flow is not measured, or a turnout gate of this site."""

    id: Name
    structure: GateId | None = None
    nominal_flow_m3s: NotNegative = 0.0


class Pool(Settings):
    """Water between structures. Levels in m above the site's datum; depths above `invert_m`."""

    id: Name
    inlet: GateId | None = None
    """Structure that feeds it; none: the canal's head, not of this site."""
    outlet: GateId | None = None
    """Structure at its end; none: the tail."""
    invert_m: float
    """Bed at the downstream end."""
    target_depth_m: Positive | None = None
    bank_m: float
    """Where it overtops."""
    length_m: Positive | None = None
    low: PoolDynamics
    high: PoolDynamics
    resonance_period_s: Positive | None = None
    resonance_peak_s_per_m2: Positive | None = None
    """R of Clemmens et al. 2015 in s/m2; none: estimated as delay/area."""
    head_levels: tuple[Name, ...] = Field(default=(), max_length=3)
    """Points just below the inlet."""
    tail_levels: tuple[Name, ...] = Field(default=(), max_length=3)
    """Points just above the outlet; two: mean or hold, three: median."""
    disagree_m: Positive = 0.05
    """Further apart, two sensors do not agree."""
    level_min_m: float
    level_max_m: float
    """Setpoints must lie between the two; a level outside raises an alarm."""
    drawdown: Drawdown = Drawdown()
    offtakes: tuple[Offtake, ...] = ()


class LevelLoop(Settings):
    """PI in velocity form on a filtered level; its output is the structure's flow in m3/s."""

    kp_m2_per_s: Positive
    """m3/s per m of error."""
    ti_s: Positive
    filter_s: NotNegative = 0.0
    control_period_s: Positive = 60.0
    decoupler: Annotated[float, Field(ge=0.0, le=1.0)] = 0.8
    """Share of the neighbour's change of flow that is passed on at once (Litrico: 0.7, 0.8, 0.9, 1 down the canal)."""
    decoupler_structure: GateId | None = None
    """For a downstream loop the structure at the end of the pool; for an upstream loop the one that feeds it."""
    decoupler_flow_point: Name | None = None
    """Where that structure is not of this site: a point with its actual flow, unit m3s."""
    feed_forward: bool = True
    """Pass ordered changes on early, by the pool's delay."""


class FlowLoop(Settings):
    """Inverts the gate law, and corrects it slowly by the measured (or computed) flow."""

    control_period_s: Positive = 60.0
    ti_s: Positive = 600.0
    drown_limit_m: Positive = 0.05
    """Least head difference in which flow is controlled; below it the gate holds and an alarm says so."""
    flow_points: tuple[Name, ...] = Field(default=(), max_length=2)


class Structure(Settings):
    """Gates side by side between two pools. Its id is what plans name; with one gate, that gate's id."""

    id: GateId
    gates: tuple[Gate, ...] = Field(min_length=1, max_length=8)
    sharing: Literal["equal", "lead_lag"] = "equal"
    """Several bays: all alike, or the first as far as it goes, then the next."""
    upstream_loop: LevelLoop | None = None
    """Holds the tail level of the pool above."""
    downstream_loop: LevelLoop | None = None
    """Holds a level of the pool below, at `downstream_end`."""
    downstream_end: Literal["local", "distant"] = "distant"
    flow_loop: FlowLoop = FlowLoop()
    capacity_m3s: Positive
    """Most flow that the controller asks for."""
