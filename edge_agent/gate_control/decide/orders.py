"""Delivery orders: water to a turnout from a start on, until a volume or a time is reached. Pure.

Level-triggered: in each scan what is right follows from the order, the clock, and the account of the order so far; there are
no events that could be lost. A start needs wall time that was set; all else runs on the monotonic clock, so that a step of
the wall clock neither begins an order again nor moves its end. The account is saved with the site's state; once it says that
an order has begun, the order is never begun again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import Now, Quality, Reading
from shared.contracts.gate_plan import DeliveryOrder

GAP_S = 30.0
"""A longer time between two scans is a downtime: the flow of it was not seen."""
OVERRUN = 1.5
"""An order by volume alone ends after this many times the time that it takes at the ordered flow."""
SHORT_SHARE = 0.95
"""Less of what was ordered is a short delivery."""
MAX_ACCOUNTS = 2_000
"""Accounts that are kept of orders that no plan names any more."""


class Ending(StrEnum):
    """Why an order is over."""

    VOLUME = "volume"
    """Its volume was reached."""
    TIME = "time"
    """Its time was over."""
    WITHDRAWN = "withdrawn"
    """The plan in force does not name it any more, or names another turnout."""
    STATE_LOST = "state_lost"
    """Its start lies before the account was lost: whether it was delivered is not known, so it is not delivered again."""


class OrderStatus(StrEnum):
    """What a person sees."""

    WAITING = "waiting"
    RUNNING = "running"
    SUSPENDED = "suspended"
    """Begun, and since a boot without wall time at the safe default."""
    MISSED = "missed"
    ENDED = "ended"


class NoteKind(StrEnum):
    """What the journal is told, once each."""

    STARTED = "started"
    STARTED_LATE = "started_late"
    MISSED = "missed"
    ESTIMATED = "estimated"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    ENDED = "ended"
    SHORT = "short"


@dataclass(frozen=True)
class Account:
    """What is known of one order. Wall times are seconds since 1970."""

    turnout: str
    ordered_m3s: float = 0.0
    """Flow as last ordered: the order may be gone when its account is closed."""
    ordered_m3: float = 0.0
    started_wall_s: float | None = None
    """None: not begun."""
    late_s: float = 0.0
    """How much later than ordered it began."""
    ran_s: float = 0.0
    """Since the start, downtimes and suspensions included."""
    volume_m3: float = 0.0
    estimated_m3: float = 0.0
    """Part of the volume that no flow reading stands behind."""
    flow_m3s: float | None = None
    """Last flow believed; None: not one since the start."""
    ending: Ending | None = None
    ended_wall_s: float | None = None
    is_missed: bool = False
    """Its start has passed unused. Not for ever: a clock that is set back makes it wait again."""
    is_suspended: bool = False

    @property
    def is_running(self) -> bool:
        """Begun and not over."""
        return self.started_wall_s is not None and self.ending is None


@dataclass(frozen=True)
class OrdersState:
    """All accounts of a site, and when they were last brought up to date."""

    accounts: Mapping[str, Account] = field(default_factory=dict)
    scanned_at_s: float | None = None
    """Seconds since boot; None: not in this boot yet."""
    wall_s: float | None = None
    """Wall time of the last scan, carried on by the monotonic clock while nobody sets it; None: never known."""
    is_downtime_open: bool = False
    """The machine was down, and no clock has said yet for how long."""
    closed_s: float = 0.0
    """Scanned in that state, with turnouts at their safe default."""
    is_lost: bool = False
    """The accounts before this were lost; orders whose start has passed are not begun."""


@dataclass(frozen=True)
class OrderDemand:
    """What the orders of one turnout ask for."""

    flow_m3s: float
    reason: str
    is_running: bool = False
    """False: no order runs. Then the plan's own objective for the turnout counts; where it has none, flow 0."""
    is_safe_default: bool = False
    """Begun, and not known how far: closed, unless the gate's `fail_safe` names a position."""


@dataclass(frozen=True)
class OrderNote:
    """One line for the journal, and what alarms are raised by."""

    order_id: str
    kind: NoteKind
    text: str


Flows = Mapping[str, Reading | None]
Step = tuple[OrdersState, Mapping[str, OrderDemand], tuple[OrderNote, ...]]


@dataclass(frozen=True)
class _Elapsed:
    """Time since the last scan."""

    watched_s: float = 0.0
    """Seen by scans."""
    downtime_s: float = 0.0
    """Not seen; the gate stood as it was left."""
    closed_s: float = 0.0
    """At the safe default."""


def order_flow(orders: Sequence[DeliveryOrder], state: OrdersState, now: Now, measured_flow: Flows) -> Step:
    """The accounts after this scan, what each turnout is asked for, and what to write down.

    Rule: first the accounts of running orders are brought up to now, and ended where volume or time is reached or the
    plan names them no more; then orders whose time has come are begun. An end never waits for a clock.

    Args:
        orders: of the plan in force; without one `orders_under_way`.
        state: as given back last time; after a boot first through `after_boot`.
        now: of this scan.
        measured_flow: by turnout; missing, None or bad: the ordered flow is taken, and flagged as an estimate.
    """
    state, elapsed = _elapse(state, now)
    by_id = {order.order_id: order for order in orders}
    shares = _shares(state)
    accounts: dict[str, Account] = {}
    notes: list[OrderNote] = []
    for order_id, account in state.accounts.items():
        order = by_id.get(order_id)
        if account.is_running:
            flow_m3s = _believed(measured_flow.get(account.turnout), shares.get(order_id, 1.0))
            account, said = _run(order_id, order, account, state, elapsed, flow_m3s)
            notes += said
        accounts[order_id] = account
    for order in sorted(orders, key=lambda item: (item.start, item.order_id)):
        begun, said = _begin(order, accounts.get(order.order_id), state, now)
        if begun is not None:
            accounts[order.order_id] = begun
        notes += said
    state = replace(state, accounts=_kept(accounts, by_id), is_lost=state.is_lost and not now.wall_is_trusted)
    return state, _demands(orders, state, now), tuple(notes)


def after_boot(state: OrdersState) -> OrdersState:
    """Call once when the boot is another one: the monotonic clock began anew. A restart in the same boot needs nothing."""
    return replace(state, scanned_at_s=None, is_downtime_open=True)


def lost_state() -> OrdersState:
    """Where the accounts are gone: orders whose start has passed may have been delivered, and are not begun."""
    return OrdersState(is_lost=True)


def limit_s(order: DeliveryOrder, late_s: float = 0.0) -> float:
    """Longest time from the start on. `keep_end` takes what was missed off it."""
    longest_s = order.duration_s if order.duration_s is not None else OVERRUN * nominal_s(order)
    return max(0.0, longest_s - late_s) if order.if_missed == "keep_end" else longest_s


def nominal_s(order: DeliveryOrder) -> float:
    """Time that the order takes at its own flow."""
    by_volume_s = order.volume_m3 / order.flow_m3s if order.volume_m3 is not None else math.inf
    return min(by_volume_s, order.duration_s if order.duration_s is not None else math.inf)


def would_miss(order: DeliveryOrder, late_s: float, now: Now) -> bool:
    """Whether an order that is this late is not begun any more."""
    if order.latest_start is not None and now.wall > order.latest_start:
        return True
    if late_s <= order.start_window_s:
        return False
    return order.if_missed == "skip" or limit_s(order, late_s) <= 0.0


def status_of(account: Account | None) -> OrderStatus:
    """For people."""
    if account is None or (account.started_wall_s is None and account.ending is None):
        return OrderStatus.MISSED if account is not None and account.is_missed else OrderStatus.WAITING
    if account.ending is not None:
        return OrderStatus.ENDED
    return OrderStatus.SUSPENDED if account.is_suspended else OrderStatus.RUNNING


def orders_under_way(state: OrdersState) -> tuple[DeliveryOrder, ...]:
    """What is under way, by the accounts alone: while no plan can be read nobody withdrew it, and it still ends in time."""
    return tuple(
        DeliveryOrder(
            order_id=order_id,
            turnout=account.turnout,
            start=datetime.fromtimestamp((account.started_wall_s or 0.0) - account.late_s, UTC),
            flow_m3s=account.ordered_m3s,
            duration_s=account.ordered_m3 / account.ordered_m3s,
        )
        for order_id, account in state.accounts.items()
        if account.is_running and account.ordered_m3s > 0.0 and account.ordered_m3 > 0.0
    )


def _elapse(state: OrdersState, now: Now) -> tuple[OrdersState, _Elapsed]:
    """Time since the last scan, by the monotonic clock within a boot, by the wall clock over a boot, else not yet known."""
    if state.scanned_at_s is not None and now.monotonic_s < state.scanned_at_s:
        state = after_boot(state)
    wall_s = now.wall.timestamp() if now.wall_is_trusted else None
    step_s = 0.0 if state.scanned_at_s is None else now.monotonic_s - state.scanned_at_s
    first_ever = state.scanned_at_s is None and not state.is_downtime_open
    state = replace(state, scanned_at_s=now.monotonic_s)
    if first_ever:
        return replace(state, wall_s=wall_s), _Elapsed()
    if not state.is_downtime_open:
        known_s = wall_s if wall_s is not None else None if state.wall_s is None else state.wall_s + step_s
        is_gap = step_s > GAP_S
        return replace(state, wall_s=known_s), _Elapsed(0.0 if is_gap else step_s, step_s if is_gap else 0.0)
    if wall_s is None:
        return replace(state, closed_s=state.closed_s + step_s), _Elapsed()
    closed_s = state.closed_s + step_s
    downtime_s = 0.0 if state.wall_s is None else max(0.0, wall_s - state.wall_s - closed_s)
    return replace(state, wall_s=wall_s, is_downtime_open=False, closed_s=0.0), _Elapsed(0.0, downtime_s, closed_s)


def _run(
    order_id: str, order: DeliveryOrder | None, account: Account, state: OrdersState, elapsed: _Elapsed, flow_m3s: float | None
) -> tuple[Account, list[OrderNote]]:
    """A running order brought up to now, and ended where it is over."""
    if state.is_downtime_open:
        return _suspended(order_id, account, flow_m3s)
    is_withdrawn = order is None or order.turnout != account.turnout
    if order is not None and not is_withdrawn:
        account = replace(account, ordered_m3s=order.flow_m3s, ordered_m3=order.flow_m3s * nominal_s(order))
    known = account
    account = _counted(account, elapsed, flow_m3s)
    notes: list[OrderNote] = []
    if account.estimated_m3 > 0.0 and known.estimated_m3 == 0.0:
        cause = f"a downtime of {elapsed.downtime_s:.0f} s" if elapsed.downtime_s > 0.0 else "no usable flow reading"
        notes.append(OrderNote(order_id, NoteKind.ESTIMATED, f"{cause}: part of the volume is an estimate"))
    ending = Ending.WITHDRAWN if order is None or is_withdrawn else _ending(order, account)
    if ending is not None:
        account, said = _ended(order_id, account, ending, state)
        return account, notes + said
    if known.is_suspended:
        notes.append(OrderNote(order_id, NoteKind.RESUMED, f"the time is known again; {account.volume_m3:.0f} m3 so far"))
    return account, notes


def _suspended(order_id: str, account: Account, flow_m3s: float | None) -> tuple[Account, list[OrderNote]]:
    if account.is_suspended:
        return account, []
    # the gate still stands as the downtime left it: what flows now is the best there is to say what flowed then
    account = replace(account, is_suspended=True, flow_m3s=flow_m3s if flow_m3s is not None else account.flow_m3s)
    return account, [OrderNote(order_id, NoteKind.SUSPENDED, "rebooted, and the clock is not set: the turnout goes to its safe default")]


def _counted(account: Account, elapsed: _Elapsed, flow_m3s: float | None) -> Account:
    """Volume by the reading where it is good; by the ordered flow where it is not; over a downtime by the best flow known."""
    watched_m3 = elapsed.watched_s * (flow_m3s if flow_m3s is not None else account.ordered_m3s)
    # a suspended order closed its turnout since, so that the flow of now says nothing of the downtime
    seen_m3s = account.flow_m3s if account.is_suspended or flow_m3s is None else flow_m3s
    missed_m3 = elapsed.downtime_s * (seen_m3s if seen_m3s is not None else account.ordered_m3s)
    return replace(
        account,
        ran_s=account.ran_s + elapsed.watched_s + elapsed.downtime_s + elapsed.closed_s,
        volume_m3=account.volume_m3 + watched_m3 + missed_m3,
        estimated_m3=account.estimated_m3 + missed_m3 + (watched_m3 if flow_m3s is None else 0.0),
        flow_m3s=flow_m3s if flow_m3s is not None else account.flow_m3s,
        is_suspended=False,
    )


def _ending(order: DeliveryOrder, account: Account) -> Ending | None:
    if order.volume_m3 is not None and account.volume_m3 >= order.volume_m3:
        return Ending.VOLUME
    return Ending.TIME if account.ran_s >= limit_s(order, account.late_s) else None


def _ended(order_id: str, account: Account, ending: Ending, state: OrdersState) -> tuple[Account, list[OrderNote]]:
    account = replace(account, ending=ending, ended_wall_s=state.wall_s, is_suspended=False)
    guessed = f", {account.estimated_m3:.0f} m3 of it estimated" if account.estimated_m3 > 0.0 else ""
    notes = [OrderNote(order_id, NoteKind.ENDED, f"by {ending} after {account.ran_s:.0f} s with {account.volume_m3:.0f} m3{guessed}")]
    if account.volume_m3 < SHORT_SHARE * account.ordered_m3:
        notes.append(OrderNote(order_id, NoteKind.SHORT, f"{account.volume_m3:.0f} m3 of {account.ordered_m3:.0f} m3 were delivered"))
    return account, notes


def _begin(order: DeliveryOrder, account: Account | None, state: OrdersState, now: Now) -> tuple[Account | None, list[OrderNote]]:
    """An order not begun yet: begun when its time has come, or missed."""
    if account is not None and (account.started_wall_s is not None or account.ending is not None):
        return account, []
    late_s = (now.wall - order.start).total_seconds()
    if not now.wall_is_trusted:
        return account, []
    if late_s < 0.0:
        return None if account is None else replace(account, is_missed=False), []
    if state.is_lost:
        return Account(order.turnout, ending=Ending.STATE_LOST, is_missed=True), [
            OrderNote(
                order.order_id, NoteKind.MISSED, "its start lies before the accounts were lost: it is not begun, it may have been delivered"
            )
        ]
    if would_miss(order, late_s, now):
        said = [] if account is not None and account.is_missed else [_missed_note(order, late_s)]
        return Account(order.turnout, is_missed=True), said
    kind = NoteKind.STARTED if late_s <= order.start_window_s else NoteKind.STARTED_LATE
    text = f"{order.flow_m3s:.3f} m3/s to {order.turnout}" + (f", {late_s:.0f} s late" if kind is NoteKind.STARTED_LATE else "")
    ordered_m3 = order.flow_m3s * nominal_s(order)
    account = Account(order.turnout, order.flow_m3s, ordered_m3, started_wall_s=now.wall.timestamp(), late_s=late_s)
    return account, [OrderNote(order.order_id, kind, text)]


def _missed_note(order: DeliveryOrder, late_s: float) -> OrderNote:
    return OrderNote(order.order_id, NoteKind.MISSED, f"its start passed {late_s:.0f} s ago; not begun, as it says ({order.if_missed})")


def _demands(orders: Sequence[DeliveryOrder], state: OrdersState, now: Now) -> Mapping[str, OrderDemand]:
    """By turnout: what runs there, added up; also for turnouts whose orders were withdrawn, so that they are closed."""
    turnouts = sorted({order.turnout for order in orders} | {account.turnout for account in state.accounts.values()})
    return {turnout: _demand([order for order in orders if order.turnout == turnout], state, now) for turnout in turnouts}


def _demand(orders: Sequence[DeliveryOrder], state: OrdersState, now: Now) -> OrderDemand:
    running = [order for order in orders if (account := state.accounts.get(order.order_id)) is not None and account.is_running]
    if running and state.is_downtime_open:
        return OrderDemand(0.0, "rebooted, and the clock is not set: safe default", is_safe_default=True)
    if running:
        names = ", ".join(order.order_id for order in running)
        return OrderDemand(sum(order.flow_m3s for order in running), f"order {names}", is_running=True)
    return OrderDemand(0.0, "no order runs" if now.wall_is_trusted else "no order runs; none starts before the clock is set")


def _shares(state: OrdersState) -> Mapping[str, float]:
    """Orders that run at one turnout share its flow as they were ordered."""
    running = {name: account for name, account in state.accounts.items() if account.is_running}
    total_m3s: dict[str, float] = {}
    for account in running.values():
        total_m3s[account.turnout] = total_m3s.get(account.turnout, 0.0) + account.ordered_m3s
    return {name: account.ordered_m3s / total_m3s[account.turnout] for name, account in running.items()}


def _believed(reading: Reading | None, share: float) -> float | None:
    """An order's part of a measured flow; None where the reading is no use."""
    if reading is None or reading.quality is Quality.BAD or reading.value is None or not math.isfinite(reading.value):
        return None
    return max(0.0, reading.value) * share


def _kept(accounts: Mapping[str, Account], by_id: Mapping[str, DeliveryOrder]) -> Mapping[str, Account]:
    """Accounts of orders that the plan does not name go where nothing was begun, and else once there are too many, oldest first."""
    accounts = {name: account for name, account in accounts.items() if name in by_id or account.is_running or account.ending is not None}
    old = [name for name, account in accounts.items() if name not in by_id and not account.is_running]
    old.sort(key=lambda name: accounts[name].ended_wall_s or 0.0)
    gone = frozenset(old[: max(0, len(old) - MAX_ACCOUNTS)])
    return {name: account for name, account in accounts.items() if name not in gone}
