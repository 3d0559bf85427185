"""Flow under and over the gates of a plant; other equations than the controller's, so that it must live with a wrong model."""

from __future__ import annotations

import math

from edge_agent.gate_control.model.gates import Geometry

GRAVITY_M_PER_S2 = 9.81
CONTRACTION = 0.61
TEXTBOOK_CD = 0.61
LIFTED_SHARE = 2.0 / 3.0
"""Of the head: a leaf lifted higher no longer touches the water, which then passes at critical depth."""
BANK_WEIR = 1.7
"""Broad-crested weir per metre: q = 1.7 h^1.5."""


def gate_flow_m3s(geometry: Geometry, opening_m: float, upstream_m: float, downstream_m: float) -> float:
    """Flow in m3/s at levels in m above the datum; none backward."""
    if geometry.kind == "overshot":
        return overshot_flow_m3s(geometry, geometry.sill_m + geometry.height_m - opening_m, upstream_m, downstream_m)
    return undershot_flow_m3s(geometry, opening_m, upstream_m - geometry.sill_m, downstream_m - geometry.sill_m)


def undershot_flow_m3s(geometry: Geometry, opening_m: float, head_m: float, tail_m: float) -> float:
    """Energy before the gate and momentum behind it (the energy-momentum method of Wahl, Clemmens and Replogle 2003, without losses).

    The depth y over the jet follows from `h1 + q^2/2gh1^2 = y + q^2/2ga^2` and `y^2/2 + q^2/ga = h2^2/2 + q^2/gh2`; y = a is free flow.
    """
    if head_m <= 0.0 or opening_m <= 0.0:
        return 0.0
    jet_m = CONTRACTION * min(opening_m, LIFTED_SHARE * head_m)
    energy = 1.0 / jet_m**2 - 1.0 / head_m**2
    depth_m = jet_m
    if tail_m > jet_m:
        k = 4.0 * (1.0 / jet_m - 1.0 / tail_m) / energy
        depth_m = max(jet_m, k / 2.0 + math.sqrt(max(0.0, k * k / 4.0 - k * head_m + tail_m * tail_m)))
    if depth_m >= head_m:
        return 0.0
    unit_m2_s = math.sqrt(2.0 * GRAVITY_M_PER_S2 * (head_m - depth_m) / energy)
    return geometry.cd / TEXTBOOK_CD * geometry.width_m * min(unit_m2_s, BANK_WEIR * math.pow(head_m, 1.5))


def overshot_flow_m3s(geometry: Geometry, crest_m: float, upstream_m: float, downstream_m: float) -> float:
    """Rehbock's growth of the coefficient with the head, submergence by Villemonte 1947."""
    head_m, tail_m = upstream_m - crest_m, downstream_m - crest_m
    if head_m <= 0.0 or tail_m >= head_m:
        return 0.0
    cd = geometry.cd * (1.0 + 0.08 * head_m / max(0.2, geometry.height_m))
    free = 2.0 / 3.0 * cd * math.sqrt(2.0 * GRAVITY_M_PER_S2) * geometry.width_m * math.pow(head_m, 1.5)
    return free if tail_m <= 0.0 else free * math.pow(1.0 - math.pow(tail_m / head_m, 1.5), 0.385)


def overtopping_flow_m3s(length_m: float, over_bank_m: float) -> float:
    """What runs over `length_m` of bank."""
    return BANK_WEIR * length_m * math.pow(over_bank_m, 1.5) if over_bank_m > 0.0 else 0.0


def opening_for_flow_m(geometry: Geometry, flow_m3s: float, upstream_m: float, downstream_m: float) -> float:
    """The opening that passes a flow; at the stop where none does."""
    low_m, high_m = 0.0, geometry.height_m
    for _ in range(50):
        middle_m = (low_m + high_m) / 2.0
        if gate_flow_m3s(geometry, middle_m, upstream_m, downstream_m) < flow_m3s:
            low_m = middle_m
        else:
            high_m = middle_m
    return high_m
