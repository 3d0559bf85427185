"""One structure, one scan: from its objective to an opening for each of its gates, or to its fallback. Pure.

The controller's output is the structure's flow in m3/s. It is worked out once each control period; in between the gates go on
towards the openings that it came to.
"""

from __future__ import annotations

from typing import assert_never

from edge_agent.gate_control.decide.asked import Followed, Request, Steered, StructureScan, believed, held
from edge_agent.gate_control.decide.flow_loop import follow_flow
from edge_agent.gate_control.decide.level_loop import LevelTask, follow_level
from edge_agent.gate_control.decide.sharing import Bay
from edge_agent.gate_control.decide.topology import LoopPlace
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import ControllerState
from shared.contracts.gate_plan import DownstreamLevelObjective, FlowObjective, PositionObjective, UpstreamLevelObjective


def steer(scan: StructureScan, state: ControllerState, fallback: ControllerState) -> Steered:
    """New controller states and one request a gate.

    Rule: with no plan, no positions, or no gate that may be moved nothing is asked for, and the controller begins anew from
    what it finds later. What cannot be followed is held, and after each gate's own time falls back.
    """
    if scan.objective is None:
        return Steered(ControllerState(), ControllerState(), held(scan, "no plan for this gate", "HOLD"))
    if not any(bay.is_available for bay in scan.bays):
        return Steered(ControllerState(), ControllerState(), held(scan, "no gate of the structure is under control"))
    followed = _follow(scan, state)
    if not followed.problem:
        return Steered(replace(followed.state, bad_since_s=None), ControllerState(), followed.requests)
    now_s, since_s = scan.now.monotonic_s, followed.state.bad_since_s
    if since_s is None or since_s > now_s:
        since_s = now_s
    due = [bay for bay in scan.bays if bay.gate.fallback.kind != "hold" and now_s - since_s >= bay.gate.fallback.after_s]
    followed = replace(followed, state=replace(followed.state, bad_since_s=since_s))
    alarms = {followed.alarm: followed.problem}
    if not due:
        return Steered(followed.state, ControllerState(), followed.requests, alarms)
    steered = _fall_back(scan, followed, fallback, due, f"{followed.problem} ({now_s - since_s:.0f} s)")
    return replace(steered, alarms={**alarms, "fallback": followed.problem})


def _follow(scan: StructureScan, state: ControllerState) -> Followed:
    objective = scan.objective
    match objective:
        case None:
            return Followed(ControllerState(), held(scan, "no plan for this gate", "HOLD"))
        case PositionObjective():
            requests = {bay.gate.id: Request(objective.opening_pct, "position objective") for bay in scan.bays}
            return Followed(ControllerState(objective="position"), requests)
        case FlowObjective():
            return follow_flow(scan, _for_objective(state, "flow"), objective.flow_m3s)
        case UpstreamLevelObjective() | DownstreamLevelObjective():
            loop = scan.place.loops.get(objective.kind)
            if loop is None:
                why = f"the structure has no loop for {objective.kind}"
                return Followed(ControllerState(), held(scan, why, "HOLD"), why, "objective_impossible")
            state = _for_objective(state, f"{objective.kind}:{loop.place}")
            return follow_level(scan, state, LevelTask(loop, loop.place, scan.levels.get(loop.place), objective.level_m))
        case _:
            assert_never(objective)


def _for_objective(state: ControllerState, key: str) -> ControllerState:
    """Another objective begins with nothing but the time since which none could be followed."""
    return state if state.objective == key else ControllerState(objective=key, bad_since_s=state.bad_since_s)


def _fall_back(scan: StructureScan, followed: Followed, fallback: ControllerState, due: list[Bay], problem: str) -> Steered:
    """Fallbacks of the gates whose time has come; the others go on holding. The controller's own output is found anew after it."""
    requests = {gate: replace(request, mode="FALLBACK") for gate, request in followed.requests.items()}
    by_level = [bay for bay in due if bay.gate.fallback.kind == "level"]
    if by_level:
        requests, fallback = _hold_other_level(scan, fallback, by_level, requests, problem)
    for bay in due:
        kind, opening_pct = bay.gate.fallback.kind, bay.gate.fallback.opening_pct
        if kind == "position":
            requests[bay.gate.id] = Request(opening_pct, f"{problem}: fallback position", "FALLBACK")
        elif kind == "open_on_high":
            requests[bay.gate.id] = _opened_on_high(scan, bay, problem)
    state = replace(followed.state, wanted_flow_m3s=None)
    return Steered(state, fallback, requests)


def _hold_other_level(
    scan: StructureScan, fallback: ControllerState, bays: list[Bay], requests: dict[str, Request], problem: str
) -> tuple[dict[str, Request], ControllerState]:
    """The structure's other loop holds a local level with the gates that are configured so."""
    settings = bays[0].gate.fallback
    loop = _loop_for(scan, settings.level_point or "")
    if loop is None or settings.level_point is None or settings.level_m is None:
        return requests, fallback
    names = {bay.gate.id for bay in bays}
    local = replace(scan, bays=tuple(replace(bay, is_available=bay.is_available and bay.gate.id in names) for bay in scan.bays))
    task = LevelTask(loop, settings.level_point, scan.levels.get(settings.level_point), settings.level_m)
    followed = follow_level(local, _for_objective(fallback, f"fallback:{settings.level_point}"), task)
    asked = {
        gate: replace(followed.requests[gate], reason=f"{problem}: {followed.requests[gate].reason}", mode="FALLBACK") for gate in names
    }
    return {**requests, **asked}, followed.state


def _loop_for(scan: StructureScan, point: str) -> LoopPlace | None:
    """The loop of the pool and the end where a point stands."""
    for loop in scan.place.loops.values():
        if point in (loop.pool.tail_levels if loop.end == "tail" else loop.pool.head_levels):
            return loop
    return None


def _opened_on_high(scan: StructureScan, bay: Bay, problem: str) -> Request:
    above = scan.place.above
    level_m = believed(scan.levels.get(f"{above.id}/tail")) if above is not None else None
    if above is not None and level_m is not None and level_m > above.level_max_m:
        return Request(bay.gate.fallback.opening_pct, f"{problem}, and the level above is high: opened", "FALLBACK")
    return Request(None, f"{problem}: held while the level above is not known to be high", "FALLBACK")
