"""An ASCE canal as an input file of EPA SWMM 5.2: trapezoidal conduits under dynamic wave routing, gates and offtakes as orifices.

The reservoir is a storage node of constant huge area, so SWMM's own continuity error says nothing: judge a run by flooding
and by level jitter. An orifice's head is taken to the middle of its opening while free, which is not the controller's law.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.gate_control.simulation.asce import AsceCanal
from edge_agent.gate_control.simulation.asce_sites import reservoir_depth_m

GRAVITY_M_PER_S2 = 9.81
ORIFICE_CD = 0.61
SILL_SHARE = 0.4
"""Of the target depth: where an offtake's sill is."""
OFFTAKE_HEIGHT_M = 0.4
TAIL_HEIGHT_M = 0.5
ROOM = 4.0
"""An offtake can take this many times its nominal flow."""


@dataclass(frozen=True)
class SwmmSpacing:
    """Length of conduits and of time steps; Courant's number must stay below about 1 (25 m and 5 s, 100 m and 10 s)."""

    conduit_m: float
    step_s: float


STEEP = SwmmSpacing(25.0, 5.0)
FLAT = SwmmSpacing(100.0, 10.0)


@dataclass(frozen=True)
class SwmmModel:
    """The text, and what in it means what."""

    text: str
    step_s: float
    gates: tuple[str, ...]
    """Orifices, headgate first."""
    offtakes: tuple[str, ...]
    """Orifices of the offtakes, then of the tail (`t<last>`, `tail`)."""
    settings: tuple[float, ...]
    """Of the offtakes at nominal flow and target depth."""
    head_nodes: tuple[str, ...]
    """Just below each gate."""
    tail_nodes: tuple[str, ...]
    """At the far end of each pool."""
    nodes: tuple[tuple[str, ...], ...]
    """All junctions of each pool."""


def swmm_model(canal: AsceCanal, offtakes_m3s: Sequence[float], tail_m3s: float, spacing: SwmmSpacing, hours: float) -> SwmmModel:
    """The whole canal. `hours` is how long the simulation may run at most."""
    junctions, conduits, shapes, nodes = _pools(canal, spacing)
    head_nodes = tuple(names[0] for names in nodes)
    tail_nodes = tuple(names[-1] for names in nodes)
    gates, gate_lines, gate_shapes = _gates(canal, head_nodes, tail_nodes)
    takes, take_lines, take_shapes, outfalls, shares = _offtakes(canal, tail_nodes, offtakes_m3s, tail_m3s)
    sections = [
        _options(spacing, hours),
        "[JUNCTIONS]\n" + "\n".join(junctions),
        "[OUTFALLS]\n" + "\n".join(outfalls),
        f"[STORAGE]\nreservoir {canal.inverts_m()[0][0]:.4f} {3 * reservoir_depth_m(canal):.3f} {reservoir_depth_m(canal):.3f}"
        " FUNCTIONAL 0 0 100000000 0 0",
        "[CONDUITS]\n" + "\n".join(conduits),
        "[ORIFICES]\n" + "\n".join([*gate_lines, *take_lines]),
        "[XSECTIONS]\n" + "\n".join([*shapes, *gate_shapes, *take_shapes]),
        "[REPORT]\nINPUT NO\nCONTINUITY NO\nFLOWSTATS NO\nCONTROLS NO\nSUBCATCHMENTS NONE\nNODES NONE\nLINKS NONE",
    ]
    return SwmmModel("\n\n".join(sections) + "\n", spacing.step_s, gates, takes, shares, head_nodes, tail_nodes, nodes)


def offtake_flow_m3s(width_m: float, depth_m: float, sill_m: float, height_m: float, setting: float) -> float:
    """SWMM's free orifice: head to the middle of the opening."""
    opening_m = setting * height_m
    head_m = depth_m - sill_m - opening_m / 2.0
    return ORIFICE_CD * width_m * opening_m * math.sqrt(2.0 * GRAVITY_M_PER_S2 * max(0.0, head_m))


def _options(spacing: SwmmSpacing, hours: float) -> str:
    days = math.ceil(hours / 24.0) + 1
    end = f"{1 + days // 28 % 12:02d}/{1 + days % 28:02d}/{2020 + days // 336}"
    return f"""[OPTIONS]
FLOW_UNITS CMS
FLOW_ROUTING DYNWAVE
LINK_OFFSETS DEPTH
ALLOW_PONDING NO
START_DATE 01/01/2020
START_TIME 00:00:00
REPORT_START_DATE 01/01/2020
REPORT_START_TIME 00:00:00
END_DATE {end}
END_TIME 00:00:00
REPORT_STEP 24:00:00
WET_STEP 01:00:00
DRY_STEP 01:00:00
ROUTING_STEP {spacing.step_s:g}
VARIABLE_STEP 0
INERTIAL_DAMPING PARTIAL
NORMAL_FLOW_LIMITED BOTH
MAX_TRIALS 8
HEAD_TOLERANCE 0.0005
THREADS 1"""


def _pools(canal: AsceCanal, spacing: SwmmSpacing) -> tuple[list[str], list[str], list[str], tuple[tuple[str, ...], ...]]:
    junctions: list[str] = []
    conduits: list[str] = []
    shapes: list[str] = []
    nodes: list[tuple[str, ...]] = []
    for number, (reach, (upper_m, lower_m)) in enumerate(zip(canal.reaches, canal.inverts_m(), strict=True), start=1):
        count = max(2, round(reach.length_m / spacing.conduit_m))
        names = tuple(f"n{number}_{index}" for index in range(count + 1))
        nodes.append(names)
        for index, name in enumerate(names):
            bed_m = upper_m + (lower_m - upper_m) * index / count
            water_m = max(0.5 * reach.target_depth_m, lower_m + reach.target_depth_m - bed_m)
            junctions.append(f"{name} {bed_m:.4f} {reach.canal_depth_m:.3f} {min(water_m, reach.canal_depth_m - 0.02):.4f} 0 0")
        for index in range(count):
            link = f"c{number}_{index}"
            conduits.append(f"{link} {names[index]} {names[index + 1]} {reach.length_m / count:.3f} {canal.manning_n} 0 0 0")
            shapes.append(f"{link} TRAPEZOIDAL {reach.canal_depth_m} {reach.bed_width_m} {canal.side_slope} {canal.side_slope} 1")
    return junctions, conduits, shapes, tuple(nodes)


def _gates(canal: AsceCanal, head_nodes: Sequence[str], tail_nodes: Sequence[str]) -> tuple[tuple[str, ...], list[str], list[str]]:
    """Stroke time 0: the actuator of the plant moves them step by step."""
    lines: list[str] = []
    shapes: list[str] = []
    for number, below in enumerate(head_nodes, start=1):
        above = "reservoir" if number == 1 else tail_nodes[number - 2]
        reach = canal.reaches[max(0, number - 2)]
        width_m = canal.headgate_width_m if number == 1 else reach.gate_width_m
        height_m = canal.headgate_height_m if number == 1 else reach.gate_height_m
        lines.append(f"g{number} {above} {below} SIDE 0 {ORIFICE_CD} NO 0")
        shapes.append(f"g{number} RECT_CLOSED {height_m} {width_m} 0 0")
    return tuple(f"g{number}" for number in range(1, len(head_nodes) + 1)), lines, shapes


def _offtakes(
    canal: AsceCanal, tail_nodes: Sequence[str], offtakes_m3s: Sequence[float], tail_m3s: float
) -> tuple[tuple[str, ...], list[str], list[str], list[str], tuple[float, ...]]:
    """Side orifices wide enough for a multiple of their flow, and the tail's at bed level; all fall freely."""
    lines: list[str] = []
    shapes: list[str] = []
    outfalls: list[str] = []
    names: list[str] = []
    shares: list[float] = []
    wanted = [(f"t{number}", number - 1, flow, SILL_SHARE, OFFTAKE_HEIGHT_M) for number, flow in enumerate(offtakes_m3s, start=1)]
    wanted.append(("tail", len(tail_nodes) - 1, tail_m3s, 0.0, TAIL_HEIGHT_M))
    for name, index, flow_m3s, sill_share, height_m in wanted:
        depth_m, sill_m = canal.reaches[index].target_depth_m, sill_share * canal.reaches[index].target_depth_m
        width_m = max(0.05, ROOM * max(flow_m3s, 0.02) / offtake_flow_m3s(1.0, depth_m, sill_m, height_m, 1.0))
        shares.append(_setting_for(flow_m3s, width_m, depth_m, sill_m, height_m))
        outfalls.append(f"o_{name} {canal.inverts_m()[index][1] - 5.0:.4f} FREE NO")
        lines.append(f"{name} {tail_nodes[index]} o_{name} SIDE {sill_m:.4f} {ORIFICE_CD} NO 0")
        shapes.append(f"{name} RECT_CLOSED {height_m} {width_m:.5f} 0 0")
        names.append(name)
    return tuple(names), lines, shapes, outfalls, tuple(shares)


def _setting_for(flow_m3s: float, width_m: float, depth_m: float, sill_m: float, height_m: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2.0
        if offtake_flow_m3s(width_m, depth_m, sill_m, height_m, middle) < flow_m3s:
            low = middle
        else:
            high = middle
    return high
