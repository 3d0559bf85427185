"""A turnout that does what the orders ask, with clocks that step, machines that die, and a flow meter that fails.

True time runs on by itself; the monotonic clock begins anew with each boot; the wall clock is true time plus an error, and
may not be known at all. While the process is down the gate stands as it was left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from edge_agent.gate_control.decide.orders import Account, NoteKind, OrderDemand, OrderNote, OrdersState, after_boot, order_flow
from edge_agent.gate_control.model.values import Now, Quality, Reading
from shared.contracts.gate_plan import DeliveryOrder

START = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)


def make_order(order_id: str = "o1", *, at_s: float = 0.0, **fields: Any) -> DeliveryOrder:
    """0.5 m3/s to t1 for an hour, unless said otherwise."""
    usual = {"turnout": "t1", "start": START + timedelta(seconds=at_s), "flow_m3s": 0.5}
    if "volume_m3" not in fields:
        usual["duration_s"] = 3_600.0
    return DeliveryOrder.model_validate({"order_id": order_id, **usual, **fields})


def reading(flow_m3s: float | None, quality: Quality = Quality.GOOD) -> Reading:
    return Reading(flow_m3s, 0.0, quality, "meter")


@dataclass
class Water:
    """The site, scan by scan."""

    orders: Sequence[DeliveryOrder]
    scan_s: float = 10.0
    idle_s: float = 0.0
    """Between two scans while nothing is asked for, where a test wants that longer."""
    share: float = 1.0
    """What truly flows for each m3/s that is asked for."""
    meter_is_good: bool = True
    true_s: float = 0.0
    boot_s: float = -1_000.0
    clock_error_s: float = 0.0
    clock_is_set: bool = True
    state: OrdersState = field(default_factory=OrdersState)
    saved: OrdersState = field(default_factory=OrdersState)
    asked: dict[str, float] = field(default_factory=dict)
    delivered_m3: dict[str, float] = field(default_factory=dict)
    notes: list[OrderNote] = field(default_factory=list)
    demands: dict[str, OrderDemand] = field(default_factory=dict)
    saved_boot_s: float = -1_000.0
    scans_since_saved: int = 0
    down_s: float = 0.0
    meter_bad_s: float = 0.0

    def now(self) -> Now:
        wall = START + timedelta(seconds=self.true_s + self.clock_error_s)
        return Now(self.true_s - self.boot_s, wall if self.clock_is_set else datetime(1970, 1, 2, tzinfo=UTC), self.clock_is_set)

    def flow(self, turnout: str) -> float:
        return self.asked.get(turnout, 0.0) * self.share

    def scan(self) -> None:
        meters = {turnout: reading(self.flow(turnout) if self.meter_is_good else None) for turnout in self.asked}
        if not self.meter_is_good:
            meters = {turnout: reading(123.0, Quality.BAD) for turnout in self.asked}
        self.state, demands, notes = order_flow(self.orders, self.state, self.now(), meters)
        self.demands, self.asked = dict(demands), {turnout: demand.flow_m3s for turnout, demand in demands.items()}
        self.notes += notes
        self.scans_since_saved += 1
        if notes or self.scans_since_saved >= 5:
            self.saved, self.saved_boot_s, self.scans_since_saved = self.state, self.boot_s, 0

    def pass_time(self, seconds: float) -> None:
        for turnout in self.asked:
            self.delivered_m3[turnout] = self.delivered_m3.get(turnout, 0.0) + seconds * self.flow(turnout)
        self.true_s += seconds

    def run(self, seconds: float) -> None:
        """Scans at both ends, and each `scan_s` between."""
        self.scan()
        left_s = seconds
        while left_s > 0.0:
            step_s = min(self.scan_s if any(self.asked.values()) else max(self.scan_s, self.idle_s), left_s)
            self.pass_time(step_s)
            self.meter_bad_s += 0.0 if self.meter_is_good else step_s
            left_s -= step_s
            self.scan()

    def crash(self, down_s: float) -> None:
        """The process dies, and comes back in the same boot with what was saved."""
        self.pass_time(down_s)
        self.down_s += down_s
        self.load()

    def load(self) -> None:
        """What was saved, and whether that was in this boot."""
        self.state = self.saved if self.saved_boot_s == self.boot_s else after_boot(self.saved)

    def reboot(self, down_s: float, *, clock_is_set: bool = True) -> None:
        """The whole machine; the monotonic clock begins anew."""
        self.crash(down_s)
        self.boot_s, self.clock_is_set = self.true_s - 20.0, clock_is_set
        self.load()

    def account(self, order_id: str = "o1") -> Account:
        return self.state.accounts[order_id]

    def said(self, order_id: str = "o1") -> list[NoteKind]:
        return [note.kind for note in self.notes if note.order_id == order_id]
