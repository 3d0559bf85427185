"""Pins: after a restore nothing goes back by itself, and nobody is ignored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from central.model import NO_ORDER, Order, PinRecord
from shared.contracts.desired import AppDesired


def newest_said(
    kv: tuple[Order, Mapping[str, AppDesired]] | None, report: tuple[Order, Mapping[str, AppDesired]] | None
) -> tuple[Order, Mapping[str, AppDesired]]:
    """What a node was last told, by its KV document or its own report: the higher order wins, the KV document on a tie.

    Without either: no order and no apps.
    """
    known = [item for item in (kv, report) if item is not None]
    return max(known, key=lambda item: item[0], default=(NO_ORDER, {}))


def decide_pins(
    node: str, composed: Mapping[str, AppDesired], said: Mapping[str, AppDesired], *, at: datetime, reason: str = ""
) -> tuple[PinRecord, ...]:
    """Pins of one node after a restore: every app for which the older copy would say something else than was said.

    An app that the older copy would add though the newer document did not list it is pinned as unlisted.
    """
    different = sorted(app for app in {*composed, *said} if composed.get(app) != said.get(app))
    return tuple(PinRecord(node, app, said.get(app), at, reason) for app in different)
