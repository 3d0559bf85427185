"""A level held by a structure's flow: filter, PI in velocity form, decoupler, ordered changes. Pure.

Feedback that is bad is frozen: the last flow is held, with the neighbour's and the ordered changes on top of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.gate_control.decide.asked import PERIOD_TOLERANCE_S, Followed, StructureScan, held, is_drowned, is_running, towards
from edge_agent.gate_control.decide.control import clamp, filter_level, pi_increment
from edge_agent.gate_control.decide.remote import clamped_change
from edge_agent.gate_control.decide.sharing import Water, deadband_flow_m3s, present_flow_m3s, share_flow
from edge_agent.gate_control.decide.topology import LoopPlace
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import ControllerState, Quality, Reading

EARLY_SHARE = 0.2
"""Of the control period: so soon after the last step a neighbour's move is passed on. What waits is missing in the pool."""


@dataclass(frozen=True)
class LevelTask:
    """A level to hold: by which loop, whose reading, at what height."""

    loop: LoopPlace
    source: str
    """Place or point."""
    level: Reading | None
    target_m: float


def follow_level(scan: StructureScan, state: ControllerState, task: LevelTask) -> Followed:
    """One scan of a level loop; its output is worked out once each control period, and sooner once its neighbour has moved."""
    problem = _problem(task)
    state = _filtered(task, state, None if problem else task.level, scan.now.monotonic_s)
    idle = replace(state, wanted_flow_m3s=None)
    if scan.water is None:
        why = "flow is not known: no level above the gate was ever read"
        return Followed(idle, held(scan, why), why, "flow_unknown")
    if is_drowned(scan, scan.water):
        why = "drowned: hardly any head difference, held"
        return Followed(idle, held(scan, why), why, "drowned")
    if state.wanted_flow_m3s is None or not is_running(state, task.loop.loop.control_period_s, scan.now.monotonic_s):
        followed = _taken_over(scan, state, task.loop, scan.water)
    elif problem:
        followed = _step(scan, state, task, scan.water, f"{task.source} {problem}: flow held", is_frozen=True)
    else:
        label = f"level off by {(state.filtered_level_m or 0.0) - task.target_m:+.3f} m"
        followed = _step(scan, state, task, scan.water, label, is_frozen=False)
    if not problem:
        return followed
    # a level that its sensor's own alarm says nothing of can still be too old for this loop
    is_told = task.level is None or task.level.value is None or task.level.quality is Quality.BAD
    return replace(followed, problem=f"{task.source} {problem}", alarm="feedback_frozen" if is_told else "level_too_old")


def _problem(task: LevelTask) -> str:
    level = task.level
    if level is None or level.value is None:
        return "was never read"
    if level.quality is Quality.BAD:
        return level.reasons[0] if level.reasons else "is bad"
    if level.age_s > task.loop.max_age_s:
        return f"is {level.age_s:.0f} s old, the loop bears {task.loop.max_age_s:.0f} s"
    return ""


def _filtered(task: LevelTask, state: ControllerState, level: Reading | None, now_s: float) -> ControllerState:
    """The filter follows the times of the samples; without a good level it begins anew, and the proportional part with it."""
    if level is None or level.value is None:
        return replace(state, filtered_level_m=None, previous_level_m=None)
    if not level.is_fresh and state.filtered_level_m is not None:
        return state
    sampled_at_s = now_s - level.age_s
    filter_s = task.loop.loop.filter_s
    filtered_m = filter_level(state.filtered_level_m, level.value, sampled_at_s - state.filtered_at_s, filter_s)
    return replace(state, filtered_level_m=filtered_m, filtered_at_s=sampled_at_s)


def _taken_over(scan: StructureScan, state: ControllerState, loop: LoopPlace, water: Water) -> Followed:
    """Bumpless: the output begins at the present flow of the gates, by the same law that turns it into openings."""
    present = present_flow_m3s(scan.bays, water)
    state = replace(
        state,
        wanted_flow_m3s=present,
        previous_level_m=state.filtered_level_m,
        neighbour_flow_m3s=scan.neighbour.flow_m3s,
        ordered_flow_m3s=scan.ordered.flow_m3s(scan.place, loop.kind, present),
        controlled_at_s=scan.now.monotonic_s,
        wanted_pct={bay.gate.id: bay.opening_pct for bay in scan.bays if bay.is_available},
    )
    return towards(scan, state, "took over from the present flow")


def _step(scan: StructureScan, state: ControllerState, task: LevelTask, water: Water, label: str, *, is_frozen: bool) -> Followed:
    now_s, period_s = scan.now.monotonic_s, task.loop.loop.control_period_s
    elapsed_s = now_s - (state.controlled_at_s or 0.0)
    is_due, is_early = (elapsed_s >= share * period_s - PERIOD_TOLERANCE_S for share in (1.0, EARLY_SHARE))
    if not is_due and not (is_early and _has_neighbour_moved(scan, state, task.loop, water)):
        return towards(scan, state, label)
    change = 0.0 if is_frozen else _feedback_m3s(scan, state, task, min(elapsed_s, 2.0 * period_s))
    state, passed_on = _passed_on(scan, state, task.loop)
    wanted = clamp((state.wanted_flow_m3s or 0.0) + change + passed_on, 0.0, scan.place.structure.capacity_m3s)
    shared = share_flow(scan.place.structure, wanted, scan.bays, water)
    # what cannot be had with the next move is not wanted on
    state = replace(
        state,
        wanted_flow_m3s=shared.flow_m3s,
        wanted_pct=shared.openings_pct,
        previous_level_m=state.filtered_level_m,
        controlled_at_s=now_s,
    )
    return towards(scan, state, label)


def _feedback_m3s(scan: StructureScan, state: ControllerState, task: LevelTask, elapsed_s: float) -> float:
    if state.filtered_level_m is None:
        return 0.0
    loop = task.loop
    error_m = loop.sign * (state.filtered_level_m - task.target_m)
    previous_m = None if state.previous_level_m is None else loop.sign * (state.previous_level_m - task.target_m)
    change = pi_increment(error_m, previous_m, elapsed_s, loop.loop.kp_m2_per_s, loop.loop.ti_s)
    return clamped_change(change, scan.place.structure.capacity_m3s, is_from_remote=task.source in scan.remote_levels)


def _has_neighbour_moved(scan: StructureScan, state: ControllerState, loop: LoopPlace, water: Water) -> bool:
    """By more than this structure can pass on at once. What another site tells moves nothing before its time."""
    flow_m3s, known_m3s = scan.neighbour.flow_m3s, state.neighbour_flow_m3s
    if flow_m3s is None or known_m3s is None or scan.neighbour.is_remote:
        return False
    change_m3s = loop.loop.decoupler * abs(flow_m3s - known_m3s)
    return change_m3s > 0.0 and change_m3s >= deadband_flow_m3s(scan.bays, water)


def _passed_on(scan: StructureScan, state: ControllerState, loop: LoopPlace) -> tuple[ControllerState, float]:
    """What the neighbour's change of flow and the orders add. A neighbour that is not known freezes its term, and comes back bumpless."""
    capacity = scan.place.structure.capacity_m3s
    change = 0.0
    neighbour, known = scan.neighbour, state.neighbour_flow_m3s
    if neighbour.flow_m3s is not None and known is not None:
        change += clamped_change(loop.loop.decoupler * (neighbour.flow_m3s - known), capacity, is_from_remote=neighbour.is_remote)
    ordered = scan.ordered.flow_m3s(scan.place, loop.kind, state.wanted_flow_m3s or 0.0)
    if state.ordered_flow_m3s is not None and loop.loop.feed_forward:
        change += clamped_change(ordered - state.ordered_flow_m3s, capacity, is_from_remote=False)
    return replace(state, neighbour_flow_m3s=neighbour.flow_m3s, ordered_flow_m3s=ordered), change
