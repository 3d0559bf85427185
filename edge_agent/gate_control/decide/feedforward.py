"""Ordered changes, passed on before they are felt. Pure.

Water that a turnout will take must leave the gate above the pool's delay earlier. The level loops make up for what the orders
then really take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_agent.gate_control.decide.order_outlook import ordered_changes
from edge_agent.gate_control.decide.orders import OrderDemand, OrdersState
from edge_agent.gate_control.decide.topology import StructurePlace, ends_of
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.pools import Pool
from edge_agent.gate_control.model.values import Now
from shared.contracts.gate_plan import DeliveryOrder


@dataclass(frozen=True)
class Ordered:
    """All that orders ask for in one scan."""

    site: SiteConfiguration
    orders: Sequence[DeliveryOrder]
    state: OrdersState
    demands: Mapping[str, OrderDemand]
    """By turnout, now."""
    now: Now

    def flow_m3s(self, place: StructurePlace, kind: str, flow_m3s: float) -> float:
        """Part of a structure's flow that orders ask for now.

        Rule: a loop that holds a level below it feeds all pools downstream, each ahead of time by the delays on the way; one
        that holds the level above it lets pass what the turnouts of its own pool do not take.
        """
        if not self.demands:
            return 0.0
        if kind == "upstream_level":
            return -self._taken_m3s(place.above, 0.0) if place.above is not None else 0.0
        return sum(self._downstream_m3s(pool, flow_m3s, 0.0, ()) for pool in place.below)

    def _downstream_m3s(self, pool: Pool, flow_m3s: float, lead_s: float, seen: tuple[str, ...]) -> float:
        lead_s += delay_s(pool, flow_m3s)
        taken = self._taken_m3s(pool, lead_s)
        # what a turnout's own order takes is all that it passes on
        ends = [end for end in ends_of(pool) if end not in seen and (end == pool.outlet or end not in self.demands)]
        further = [(end, one) for end in ends for one in self.site.pools_below(end)]
        return taken + sum(self._downstream_m3s(one, flow_m3s, lead_s, (*seen, end)) for end, one in further)

    def _taken_m3s(self, pool: Pool, ahead_s: float) -> float:
        """Flow that the turnouts of a pool take, some time from now."""
        names = {name for offtake in pool.offtakes for name in (offtake.id, offtake.structure) if name is not None}
        if not names & self.demands.keys():
            return 0.0
        changes = ordered_changes(self.orders, self.state, self.now, ahead_s) if ahead_s > 0.0 else {}
        return sum(self.demands[name].flow_m3s + changes.get(name, 0.0) for name in names if name in self.demands)


def delay_s(pool: Pool, flow_m3s: float) -> float:
    """Delay of a pool at a flow, linear between the two that are known."""
    low, high = pool.low, pool.high
    if high.flow_m3s <= low.flow_m3s:
        return low.delay_s
    share = max(0.0, min(1.0, (flow_m3s - low.flow_m3s) / (high.flow_m3s - low.flow_m3s)))
    return low.delay_s + share * (high.delay_s - low.delay_s)
