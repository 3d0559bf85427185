"""Ordered changes, passed on before they are felt. Pure.

Water that a turnout will take must leave the gate above the pool's delay earlier. What is passed on here is the plan of the
orders; what they really take, by volume and by downtimes, is `orders`' to say, and the level loop makes up the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from edge_agent.gate_control.decide.topology import StructurePlace
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.pools import Pool
from edge_agent.gate_control.model.values import Now
from shared.contracts.gate_plan import DeliveryOrder

_FOR_EVER_S = 3e9
Seen = tuple[str, ...]


def delay_s(pool: Pool, flow_m3s: float) -> float:
    """Delay of a pool at a flow, linear between the two that are known."""
    low, high = pool.low, pool.high
    if high.flow_m3s <= low.flow_m3s:
        return low.delay_s
    share = max(0.0, min(1.0, (flow_m3s - low.flow_m3s) / (high.flow_m3s - low.flow_m3s)))
    return low.delay_s + share * (high.delay_s - low.delay_s)


def planned_flow_m3s(orders: Sequence[DeliveryOrder], pool: Pool, at: datetime) -> float:
    """Flow that all turnouts of a pool are to take at a time."""
    names = {name for offtake in pool.offtakes for name in (offtake.id, offtake.structure) if name is not None}
    return sum(order.flow_m3s for order in orders if order.turnout in names and order.start <= at < _end(order))


def ordered_flow_m3s(
    site: SiteConfiguration, place: StructurePlace, kind: str, orders: Sequence[DeliveryOrder], flow_m3s: float, now: Now
) -> float | None:
    """Part of a structure's flow that orders ask for now; None while no wall time says.

    Rule: a loop that holds a level below it feeds all pools downstream, each ahead of time by the delays on the way; one that
    holds the level above it lets pass what the turnouts of its own pool do not take.
    """
    if not now.wall_is_trusted:
        return None
    if kind == "upstream_level":
        return -planned_flow_m3s(orders, place.above, now.wall) if place.above is not None else 0.0
    return sum(_downstream_m3s(site, pool, orders, flow_m3s, 0.0, now.wall, ()) for pool in place.below)


def _downstream_m3s(
    site: SiteConfiguration,
    pool: Pool,
    orders: Sequence[DeliveryOrder],
    flow_m3s: float,
    lead_s: float,
    wall: datetime,
    seen: tuple[str, ...],
) -> float:
    lead_s += delay_s(pool, flow_m3s)
    asked = planned_flow_m3s(orders, pool, wall + timedelta(seconds=lead_s))
    if pool.outlet is None or pool.outlet in seen:
        return asked
    further = site.pools_below(pool.outlet)
    return asked + sum(_downstream_m3s(site, one, orders, flow_m3s, lead_s, wall, (*seen, pool.outlet)) for one in further)


def _end(order: DeliveryOrder) -> datetime:
    """By duration, or by volume at the ordered flow; without either it does not end."""
    asked_s = order.duration_s
    if asked_s is None and order.volume_m3 is not None and order.flow_m3s > 0.0:
        asked_s = order.volume_m3 / order.flow_m3s
    return order.start + timedelta(seconds=min(_FOR_EVER_S, asked_s if asked_s is not None else _FOR_EVER_S))
