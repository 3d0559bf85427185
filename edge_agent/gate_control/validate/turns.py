"""How often what nobody measures must have turned just as the gates did, for a level that stands still. Pure.

A level that stands still says that the measured balance of its pool and all unmeasured flows cancel out. As long as the balance is steady,
one steady unmeasured flow explains that, however large. When a gate then moves, the same level needs another unmeasured flow: one that
changed at that time and by that much. One such turn may be chance, for people do take more when more comes; several in one standstill are
not. So the volume that the measured flows brought is followed by straight lines (a swinging door: the first line that
no longer fits all that came since it began is a turn). What is not known for certain opens the door:

- the flow from the other end arrives after half to one and a half times the pool's delay, the extremes of its volume in between count;
- the level may have moved within its resolution: three of them, over the larger area of the pool;
- an error of the gate laws in proportion to the flow makes another slope, not a turn; a change of less than a tenth of the flow is none.

By this moves add up: a twentieth of the flow that could be an offtake is forgiven once, not for ever.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import Turns

DOOR_RESOLUTIONS = 3.0
"""Half the opening of the door: one and a half resolutions at each end of a line."""
FIRST_EDGE, LAST_EDGE = 1, 10
"""Edges between the bins of the far flow: from one and a half delays ago to less than half a delay ago."""
LAW_ERROR_SHARE = 0.1
"""Of the flow: a smaller change of it may be the gate law's own error, as where a leaf comes out of the water."""
MOST_TURNS = 8
"""Kept; more say nothing more."""


def follow(
    turns: Turns, near_m3s: float, bins: Sequence[float], dropped_m3s: float | None, bin_s: float, room_m3: float, now_s: float
) -> Turns:
    """Turns after this scan.

    Args:
        turns: as of the scan before; a new one begins its first line here.
        near_m3s: balance at the level's own end.
        bins: mean flows at the other end, oldest first; empty where the pool has no delay, and its flow is in `near_m3s`.
        dropped_m3s: the oldest of them, where it was dropped in this scan.
        bin_s: length of a bin.
        room_m3: half the opening of the door.
        now_s: seconds since boot.
    """
    if turns.began_s is None:
        return _line(turns, near_m3s, bins, bin_s, now_s)
    step_s, lasted_s = now_s - turns.updated_at_s, now_s - turns.began_s
    far_m3 = turns.far_m3
    if dropped_m3s is not None:
        passed_m3 = turns.passed_m3 + (dropped_m3s - turns.far_ref_m3s) * bin_s
        far_m3 = _arrived(bins, turns.far_ref_m3s, bin_s, passed_m3)
        turns = replace(turns, passed_m3=passed_m3, far_m3=far_m3)
    if step_s <= 0.0 or lasted_s <= 0.0:
        return turns
    near_m3 = turns.near_m3 + (near_m3s - turns.near_ref_m3s) * step_s
    least = max(turns.slopes_m3s[0], (near_m3 + far_m3[0] - turns.base_m3[1] - room_m3) / lasted_s)
    most = min(turns.slopes_m3s[1], (near_m3 + far_m3[1] - turns.base_m3[0] + room_m3) / lasted_s)
    if least <= most:
        return replace(turns, near_m3=near_m3, slopes_m3s=(least, most), updated_at_s=now_s)
    line = _line(turns, near_m3s, bins, bin_s, now_s)
    changed_m3s = abs(near_m3s - turns.near_ref_m3s) + abs(line.far_ref_m3s - turns.far_ref_m3s)
    if changed_m3s < LAW_ERROR_SHARE * max(abs(turns.near_ref_m3s), abs(turns.far_ref_m3s)):
        return line
    return replace(line, turned_s=(*turns.turned_s, now_s)[-MOST_TURNS:])


def _line(turns: Turns, near_m3s: float, bins: Sequence[float], bin_s: float, now_s: float) -> Turns:
    """A new line begins, with the flows of now as its reference."""
    edge = bins[FIRST_EDGE:LAST_EDGE]
    far_ref_m3s = sum(edge) / len(edge) if edge else 0.0
    base_m3 = _arrived(bins, far_ref_m3s, bin_s, 0.0)
    return Turns(now_s, turns.turned_s, near_m3s, far_ref_m3s, base_m3=base_m3, far_m3=base_m3, updated_at_s=now_s)


def _arrived(bins: Sequence[float], ref_m3s: float, bin_s: float, passed_m3: float) -> tuple[float, float]:
    """Least and largest volume beside that of the reference that may have arrived by now."""
    volume_m3 = passed_m3
    found: list[float] = []
    for index, flow_m3s in enumerate(bins[:LAST_EDGE]):
        volume_m3 += (flow_m3s - ref_m3s) * bin_s
        if index + 1 >= FIRST_EDGE:
            found.append(volume_m3)
    return (min(found), max(found)) if found else (0.0, 0.0)
