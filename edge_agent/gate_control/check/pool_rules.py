"""The water: pools as a tree, levels against banks and beds, sills against water. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from edge_agent.gate_control.check.finding import Path, Remark
from edge_agent.gate_control.decide.hydraulics import gate_flow_m3s
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.pools import Pool, Structure

WAVE_MAX_M_PER_S = 15.0
"""No wave in a canal runs faster: sqrt(g h) of 10 m of water is 9.9 m/s."""
GATE_MAX_M = 50.0
TRAVEL_IN_DEPTHS = 2.0
CAPACITY_LEAST = 0.01
"""Of what passes with all gates open."""
FLOW_SLACK = 1.25
"""What the flow law may be wrong by before a capacity is called nonsense."""


def pool_remarks(site: SiteConfiguration) -> Iterator[Remark]:
    """Everything about pools and what stands between them."""
    yield from _tree(site)
    yield from _shared_levels(site)
    for index, pool in enumerate(site.pools):
        path: Path = ("pools", index)
        yield from _levels(pool, path)
        yield from _points(site, pool, path)
        yield from _dynamics(site, pool, path)
        yield from _offtakes(site, pool, path)
    for index, structure in enumerate(site.structures):
        yield from _structure(site, structure, ("structures", index))
        yield from _downhill(site, structure, ("structures", index))


def _tree(site: SiteConfiguration) -> Iterator[Remark]:
    ended: dict[str, str] = {}
    for index, pool in enumerate(site.pools):
        path: Path = ("pools", index)
        if pool.inlet is None and pool.outlet is None:
            yield Remark(path, f"pool {pool.id} has neither inlet nor outlet", "no gate of this site touches it", "name one, or remove it")
        for what, end in [("outlet", pool.outlet), *((f"offtakes[{number}]", item.structure) for number, item in enumerate(pool.offtakes))]:
            if end is None:
                continue
            if end in ended:
                why = "a gate takes its water from one pool, and by its level its flow is computed"
                yield Remark((*path, what), f"structure {end} already takes water from pool {ended[end]}", why, "give it one pool")
            ended[end] = pool.id
        if _leads_back(site, pool):
            why = "water does not run in a circle, and each gate would wait for the other's flow"
            yield Remark((*path, "outlet"), f"pool {pool.id} lies below itself", why, "name inlet and outlet in the direction of the flow")


def _shared_levels(site: SiteConfiguration) -> Iterator[Remark]:
    """Two pools with one gauge are one water under two names, and two loops could hold it without anybody seeing it."""
    owners: dict[str, str] = {}
    for index, pool in enumerate(site.pools):
        for key, names in (("head_levels", pool.head_levels), ("tail_levels", pool.tail_levels)):
            for number, name in enumerate(names):
                owner = owners.setdefault(name, pool.id)
                if owner != pool.id:
                    problem = f"point {name} is a level of pool {owner} too"
                    why = "one water under two names could be held by two integrators, and be filled and emptied at once"
                    yield Remark(("pools", index, key, number), problem, why, "make them one pool, with its inlet and its outlet")


def _leads_back(site: SiteConfiguration, start: Pool) -> bool:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        pool = waiting.pop()
        ends = [pool.outlet, *(item.structure for item in pool.offtakes)]
        below = [lower for end in ends if end is not None for lower in site.pools_below(end)]
        if any(lower.id == start.id for lower in below):
            return True
        waiting += [lower for lower in below if lower.id not in seen]
        seen.update(lower.id for lower in below)
    return False


def _levels(pool: Pool, path: Path) -> Iterator[Remark]:
    datum = "levels are in m above the site's datum; a depth in place of a level gives such an error"
    if not pool.invert_m < pool.level_min_m:
        problem = f"level_min_m {pool.level_min_m:g} is not above the bed, invert_m {pool.invert_m:g}"
        yield Remark((*path, "level_min_m"), problem, datum, "put level_min_m above invert_m")
    if not pool.level_min_m < pool.level_max_m:
        problem = f"level_min_m {pool.level_min_m:g} is not below level_max_m {pool.level_max_m:g}"
        yield Remark((*path, "level_max_m"), problem, "no setpoint could lie between the two", "raise level_max_m, or lower level_min_m")
    if pool.level_max_m >= pool.bank_m:
        problem = f"level_max_m {pool.level_max_m:g} is not below the bank, bank_m {pool.bank_m:g}"
        yield Remark(
            (*path, "level_max_m"), problem, "a plan could ask for a level that overtops", "lower level_max_m, with some freeboard"
        )
    if pool.target_depth_m is not None and not pool.level_min_m <= pool.invert_m + pool.target_depth_m <= pool.level_max_m:
        target_m = pool.invert_m + pool.target_depth_m
        problem = f"the target level {target_m:g} (invert_m + target_depth_m) lies outside {pool.level_min_m:g} to {pool.level_max_m:g}"
        yield Remark((*path, "target_depth_m"), problem, "every plan for the target would be refused", "correct depth, invert or limits")


def _points(site: SiteConfiguration, pool: Pool, path: Path) -> Iterator[Remark]:
    for key, names in (("head_levels", pool.head_levels), ("tail_levels", pool.tail_levels)):
        for index, name in enumerate(names):
            point = site.point(name)
            if point is None:
                continue
            where = (*path, key, index)
            if point.unit != "m":
                yield Remark(
                    where, f"point {name} is in {point.unit}, not in m", "it stands for a level", "name a level, or correct its unit"
                )
            elif key in _held_ends(site, pool) and (point.valid_min > pool.level_min_m or point.valid_max < pool.level_max_m):
                problem = (
                    f"point {name} is believed from {point.valid_min:g} to {point.valid_max:g} m,"
                    f" but setpoints go from {pool.level_min_m:g} to {pool.level_max_m:g} m"
                )
                why = "at a permitted setpoint the level would count as a bad reading, and control would stop"
                yield Remark(where, problem, why, "widen valid_min and valid_max, or check the point's offset to the datum")
    both = [*pool.head_levels, *pool.tail_levels]
    for name in sorted({name for name in both if both.count(name) > 1}):
        yield Remark((*path, "tail_levels"), f"point {name} stands twice", "it would outvote another sensor", "name each sensor once")


def _held_ends(site: SiteConfiguration, pool: Pool) -> set[str]:
    """Ends of a pool that setpoints are meant for; in a steep pool the head stands far above them."""
    feeder = site.structure(pool.inlet) if pool.inlet is not None else None
    is_local = feeder is not None and feeder.downstream_loop is not None and feeder.downstream_end == "local"
    return {"tail_levels", "head_levels"} if is_local else {"tail_levels"}


def _downhill(site: SiteConfiguration, structure: Structure, path: Path) -> Iterator[Remark]:
    """Beds and levels fall from pool to pool; what stands higher than the water above it never gets any."""
    above = site.pool_of_water(structure.id)
    for pool in site.pools_below(structure.id):
        if above is None or pool.id == above.id:
            continue
        if pool.invert_m >= above.level_max_m:
            problem = (
                f"the bed of pool {pool.id}, {pool.invert_m:g}, is not below level_max_m of {above.id} above it, {above.level_max_m:g}"
            )
            why = "water does not run uphill"
            yield Remark(path, problem, why, "give both in m above one datum, and inlet and outlet in the direction of the flow")
        elif pool.level_min_m >= above.level_max_m:
            problem = f"pool {pool.id} is to stand at {pool.level_min_m:g} at least, {above.id} above it at {above.level_max_m:g} at most"
            yield Remark(path, problem, "water does not run uphill", "give both in m above one datum")
        elif pool.target_depth_m is not None and above.target_depth_m is not None:
            low, high = pool.invert_m + pool.target_depth_m, above.invert_m + above.target_depth_m
            if low >= high:
                problem = f"the target of pool {pool.id}, {low:g}, is not below that of {above.id} above it, {high:g}"
                yield Remark(path, problem, "at these levels nothing would run", "correct invert_m or target_depth_m of one of the two")


def _offtakes(site: SiteConfiguration, pool: Pool, path: Path) -> Iterator[Remark]:
    for index, offtake in enumerate(pool.offtakes):
        structure = site.structure(offtake.structure) if offtake.structure is not None else None
        if structure is not None and offtake.nominal_flow_m3s > structure.capacity_m3s:
            where: Path = (*path, "offtakes", index, "nominal_flow_m3s")
            flow_m3s, passes_m3s = offtake.nominal_flow_m3s, structure.capacity_m3s
            problem = f"offtake {offtake.id} takes {flow_m3s:g} m3/s, and its gate {structure.id} passes {passes_m3s:g}"
            yield Remark(where, problem, "more would be ordered than can come", "correct one of the two; flows are in m3/s")
        if structure is not None and structure.id == pool.inlet:
            problem = f"offtake {offtake.id} is {structure.id}, which feeds this pool"
            yield Remark((*path, "offtakes", index, "structure"), problem, "water does not run in a circle", "name the gate that takes")


def _dynamics(site: SiteConfiguration, pool: Pool, path: Path) -> Iterator[Remark]:
    same = pool.low.flow_m3s == pool.high.flow_m3s
    if same and (pool.low.delay_s, pool.low.area_m2) != (pool.high.delay_s, pool.high.area_m2):
        problem = f"low and high are both at {pool.low.flow_m3s:g} m3/s, with two delays or areas"
        why = "between the two nothing can be worked out, and the margin at other flows is not known"
        yield Remark((*path, "low", "flow_m3s"), problem, why, "give the lowest and the highest flow")
    if pool.low.flow_m3s > pool.high.flow_m3s:
        problem = f"low.flow_m3s {pool.low.flow_m3s:g} is above high.flow_m3s {pool.high.flow_m3s:g}"
        yield Remark((*path, "low", "flow_m3s"), problem, "low and high are exchanged", "exchange them")
    for key, dynamics in (("low", pool.low), ("high", pool.high)):
        if pool.length_m is not None and dynamics.delay_s * WAVE_MAX_M_PER_S < pool.length_m:
            problem = f"{pool.length_m:g} m in delay_s {dynamics.delay_s:g} is faster than any wave"
            why = f"waves in canals run at {WAVE_MAX_M_PER_S:g} m/s at most; with too small a delay the gains come out too high"
            yield Remark(
                (*path, key, "delay_s"), problem, why, "measure the delay: from a step at the gate to the first rise at the far end"
            )
    feeder = site.structure(pool.inlet) if pool.inlet is not None else None
    if feeder is not None and pool.high.flow_m3s > FLOW_SLACK * feeder.capacity_m3s:
        problem = f"high.flow_m3s {pool.high.flow_m3s:g} is above the {feeder.capacity_m3s:g} m3/s that {feeder.id} may give"
        yield Remark(
            (*path, "high", "flow_m3s"), problem, "margins would be judged at a flow that never is", "correct one; flows are in m3/s"
        )


def _structure(site: SiteConfiguration, structure: Structure, path: Path) -> Iterator[Remark]:
    above = site.pool_of_water(structure.id)
    below = [pool for pool in site.pools_below(structure.id) if above is not None and pool.id == above.id]
    if below:
        yield Remark(
            path, f"structure {structure.id} feeds the pool that it takes from", "water does not run in a circle", "correct inlet or outlet"
        )
    for bay, gate in enumerate(structure.gates):
        where: Path = (*path, "gates", bay, "geometry")
        geometry = gate.geometry
        for key, size_m in (("width_m", geometry.width_m), ("height_m", geometry.height_m)):
            if size_m > GATE_MAX_M:
                yield Remark(
                    (*where, key), f"a gate of {size_m:g} m", "no canal gate is that large", "give metres, not millimetres or feet"
                )
        if above is None:
            continue
        if geometry.height_m > TRAVEL_IN_DEPTHS * (above.bank_m - above.invert_m):
            problem = f"height_m {geometry.height_m:g}, and pool {above.id} is {above.bank_m - above.invert_m:g} m deep"
            why = "most of the travel would be in the air, and each percent of opening far too much"
            yield Remark((*where, "height_m"), problem, why, "give the travel of the opening in m")
        if geometry.sill_m >= above.level_max_m:
            what = "bank" if geometry.sill_m >= above.bank_m else "highest setpoint"
            limit_m = above.bank_m if what == "bank" else above.level_max_m
            problem = f"sill_m {geometry.sill_m:g} is not below the {what} of pool {above.id}, {limit_m:g}"
            yield Remark((*where, "sill_m"), problem, "no water would ever pass this gate", "give the sill in m above the site's datum")
        elif geometry.sill_m + geometry.height_m < above.invert_m:
            problem = (
                f"the whole gate, {geometry.sill_m:g} to {geometry.sill_m + geometry.height_m:g} m, lies under the bed of pool {above.id}"
            )
            why = "its flow would be computed with far too much head"
            yield Remark((*where, "sill_m"), problem, why, "give the sill in m above the site's datum")
    if above is not None and not any(gate.geometry.sill_m >= above.level_max_m for gate in structure.gates):
        yield from _capacity(structure, above, path)


def _capacity(structure: Structure, above: Pool, path: Path) -> Iterator[Remark]:
    most = sum(gate_flow_m3s(gate.geometry, gate.geometry.height_m, above.level_max_m, None) for gate in structure.gates)
    if structure.capacity_m3s > FLOW_SLACK * most:
        problem = f"capacity_m3s {structure.capacity_m3s:g} is more than the {most:.3g} m3/s that passes with all gates open at level_max_m"
        why = "the controller would ask for flow that never comes, and wind up against the open gate"
        yield Remark((*path, "capacity_m3s"), problem, why, "correct capacity, width, height or sill; flows are in m3/s")
    elif structure.capacity_m3s < CAPACITY_LEAST * most:
        problem = (
            f"capacity_m3s {structure.capacity_m3s:g} is a hundredth of the {most:.3g} m3/s that passes with all gates open at level_max_m"
        )
        why = "the gates could use a hundredth of their travel"
        yield Remark((*path, "capacity_m3s"), problem, why, "correct capacity, width or height; metres, and m3/s")
