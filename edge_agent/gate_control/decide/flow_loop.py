"""A flow held by a structure: the gate law inverted, and corrected slowly by the measured flow. Pure."""

from __future__ import annotations

from edge_agent.gate_control.decide.asked import (
    PERIOD_TOLERANCE_S,
    Followed,
    StructureScan,
    believed,
    held,
    is_drowned,
    is_running,
    towards,
)
from edge_agent.gate_control.decide.control import clamp
from edge_agent.gate_control.decide.sharing import Water, deadband_flow_m3s, present_flow_m3s, share_flow
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import ControllerState

BIAS_SHARE = 0.25
"""Of the capacity: a gate law that is further off is not corrected but wrong."""


def follow_flow(scan: StructureScan, state: ControllerState, flow_m3s: float) -> Followed:
    """One scan of the flow objective. Below the drown limit no flow can be worked out: the gate holds."""
    if scan.water is None:
        why = "flow is not known: no level above the gate was ever read"
        return Followed(state, held(scan, why), why, "flow_unknown")
    if flow_m3s > 0.0 and is_drowned(scan, scan.water):
        why = "head difference is below the drown limit: held"
        return Followed(state, held(scan, why), why, "drowned")
    loop, now_s = scan.place.structure.flow_loop, scan.now.monotonic_s
    present, measured = present_flow_m3s(scan.bays, scan.water), believed(scan.measured)
    if not is_running(state, loop.control_period_s, now_s):
        # bumpless: the bias begins at what the gate law is off by now
        bias = 0.0 if measured is None else _clamped(scan, present - measured)
        state = replace(state, flow_bias_m3s=bias, controlled_at_s=now_s - loop.control_period_s, flow_at_s=now_s)
    label = f"flow {present if measured is None else measured:.3f} m3/s, {flow_m3s:.3f} wanted"
    wanted = clamp(flow_m3s, 0.0, scan.place.structure.capacity_m3s)
    # another flow, as at the start and the end of a delivery, waits for no period
    is_another = state.wanted_flow_m3s is not None and state.wanted_flow_m3s != wanted
    if now_s - (state.controlled_at_s or 0.0) < loop.control_period_s - PERIOD_TOLERANCE_S and not is_another:
        return towards(scan, state, label)
    state = _with_bias(scan, state, flow_m3s, measured, scan.water)
    asked = 0.0 if wanted == 0.0 else max(0.0, wanted + state.flow_bias_m3s)
    shared = share_flow(scan.place.structure, asked, scan.bays, scan.water)
    state = replace(state, wanted_flow_m3s=wanted, wanted_pct=shared.openings_pct, controlled_at_s=now_s)
    return towards(scan, state, label)


def _with_bias(scan: StructureScan, state: ControllerState, flow_m3s: float, measured_m3s: float | None, water: Water) -> ControllerState:
    """Slow integral of the flow error, from a measured flow alone: a computed one would only repeat the law that it corrects.

    Errors that the deadband cannot mend are not integrated, so that a gate at rest stays at rest.
    """
    loop, now_s = scan.place.structure.flow_loop, scan.now.monotonic_s
    elapsed_s = min(max(0.0, now_s - (state.flow_at_s if state.flow_at_s is not None else now_s)), 2.0 * loop.control_period_s)
    state = replace(state, flow_at_s=now_s)
    if measured_m3s is None:
        return state
    error = flow_m3s - measured_m3s
    if abs(error) <= 0.5 * deadband_flow_m3s(scan.bays, water):
        return state
    return replace(state, flow_bias_m3s=_clamped(scan, state.flow_bias_m3s + elapsed_s / loop.ti_s * error))


def _clamped(scan: StructureScan, bias: float) -> float:
    most = BIAS_SHARE * scan.place.structure.capacity_m3s
    return clamp(bias, -most, most)
