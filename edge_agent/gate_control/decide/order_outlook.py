"""What orders will ask for soon, and whether a plan's orders can be had at all. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import groupby

from edge_agent.gate_control.decide.orders import Account, OrdersState, limit_s, nominal_s, would_miss
from edge_agent.gate_control.model.values import Now
from shared.contracts.gate_plan import DeliveryOrder

_FARTHEST_S = 1e9
_LEAST_SHARE = 0.1
"""A flow below this share of the ordered one foretells no end: it is only just coming, or its meter stands still."""


def ordered_changes(orders: Sequence[DeliveryOrder], state: OrdersState, now: Now, delay_s: float) -> Mapping[str, float]:
    """By how much the flow of each turnout will have changed in `delay_s`, in m3/s; turnouts without a change are left out.

    For the structure upstream by that delay: it opens or closes early by this much. Without wall time that was set only
    ends of running orders are foreseen, since no order starts.
    """
    changes: dict[str, float] = {}
    horizon = now.wall + timedelta(seconds=min(delay_s, _FARTHEST_S))
    for order in orders:
        account = state.accounts.get(order.order_id)
        # most of a long plan is over or far ahead; this is asked for each structure in each scan
        if (account is None and order.start > horizon) or (account is not None and account.ending is not None):
            continue
        change = _flow_at(order, account, state, now, delay_s) - _flow_at(order, account, state, now, 0.0)
        changes[order.turnout] = changes.get(order.turnout, 0.0) + change
    return {turnout: change for turnout, change in changes.items() if change != 0.0}


def busy_for_s(orders: Sequence[DeliveryOrder], state: OrdersState) -> float | None:
    """Until the last order that runs now is over; None: none runs. For what must wait for the end of a delivery turn."""
    left_s = [
        _left_s(order, account) for order in orders if (account := state.accounts.get(order.order_id)) is not None and account.is_running
    ]
    return max(left_s, default=None)


def check_orders(orders: Sequence[DeliveryOrder], capacity_m3s: Mapping[str, float]) -> tuple[str, ...]:
    """Every reason to refuse a plan's orders, each with order, figure and limit; empty when they can be had.

    Args:
        orders: of one plan.
        capacity_m3s: most flow of each structure of the site.
    """
    ids = [order.order_id for order in orders]
    problems = [f"order {name} stands twice" for name in sorted({name for name in ids if ids.count(name) > 1})]
    for order in orders:
        capacity = capacity_m3s.get(order.turnout)
        if capacity is None:
            problems.append(f"order {order.order_id}: no structure {order.turnout} at this site; it has {', '.join(sorted(capacity_m3s))}")
        elif order.flow_m3s > capacity:
            problems.append(f"order {order.order_id}: flow {order.flow_m3s:g} m3/s is above what {order.turnout} takes, {capacity:g}")
    known = sorted((order for order in orders if order.turnout in capacity_m3s), key=lambda order: order.turnout)
    for turnout, group in groupby(known, key=lambda order: order.turnout):
        problems += _too_much_at_once(turnout, list(group), capacity_m3s[turnout])
    return tuple(problems)


def _too_much_at_once(turnout: str, orders: Sequence[DeliveryOrder], capacity_m3s: float) -> list[str]:
    """Orders that are to run at the same time; one alone that is too large was named before."""
    edges = [edge for order in orders for edge in _edges(order)]
    running: dict[str, float] = {}
    for _, is_start, order in sorted(edges, key=lambda edge: (edge[0], edge[1], edge[2].order_id)):
        if not is_start:
            running.pop(order.order_id, None)
            continue
        running[order.order_id] = order.flow_m3s
        if len(running) > 1 and sum(running.values()) > capacity_m3s + 1e-9:
            together = f"orders {', '.join(sorted(running))} ask for {sum(running.values()):g} m3/s together"
            return [f"{together} at {order.start.isoformat()}; {turnout} takes {capacity_m3s:g}"]
    return []


def _edges(order: DeliveryOrder) -> tuple[tuple[float, bool, DeliveryOrder], tuple[float, bool, DeliveryOrder]]:
    start_s = order.start.timestamp()
    return (start_s, True, order), (start_s + nominal_s(order), False, order)


def _flow_at(order: DeliveryOrder, account: Account | None, state: OrdersState, now: Now, ahead_s: float) -> float:
    """The order's flow at a time from now, as far as can be said now."""
    if account is not None and account.ending is not None:
        return 0.0
    if account is not None and account.is_running:
        return 0.0 if state.is_downtime_open or ahead_s >= _left_s(order, account) else order.flow_m3s
    if not now.wall_is_trusted:
        return 0.0
    start_in_s = (order.start - now.wall).total_seconds()
    late_s = max(0.0, -start_in_s)
    if start_in_s < 0.0 and (state.is_lost or would_miss(order, late_s, now)):
        return 0.0
    begin_s = max(0.0, start_in_s)
    return order.flow_m3s if begin_s <= ahead_s < begin_s + min(nominal_s(order), limit_s(order, late_s)) else 0.0


def _left_s(order: DeliveryOrder, account: Account) -> float:
    """Until the running order ends: by time, or by volume at the flow it has."""
    by_time_s = limit_s(order, account.late_s) - account.ran_s
    if order.volume_m3 is None:
        return max(0.0, by_time_s)
    seen_m3s = account.flow_m3s if account.flow_m3s is not None else order.flow_m3s
    flow_m3s = seen_m3s if seen_m3s >= _LEAST_SHARE * order.flow_m3s else order.flow_m3s
    return max(0.0, min(by_time_s, (order.volume_m3 - account.volume_m3) / flow_m3s if flow_m3s > 0.0 else math.inf))
