"""Pins: after a restore nothing goes back by itself, and nobody is ignored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from central.compose.selector import parse_selector
from central.model import NO_ORDER, OperatorAct, Order, PinRecord
from shared.contracts.desired import AppDesired


def newest_said(
    kv: tuple[Order, Mapping[str, AppDesired]] | None, report: tuple[Order, Mapping[str, AppDesired]] | None
) -> tuple[Order, Mapping[str, AppDesired]]:
    """What a node was last told, by its KV document or its own report: the higher order wins, the KV document on a tie.

    Without either: no order and no apps.
    """
    known = [item for item in (kv, report) if item is not None]
    return max(known, key=lambda item: item[0], default=(NO_ORDER, {}))


def apps_acted_on(labels: Mapping[str, str] | None, acts: Iterable[OperatorAct]) -> frozenset[str]:
    """Apps about which operators said something that concerns a node.

    Args:
        labels: of the node; None where the database does not know it: then only what was said of all nodes counts.
        acts: what operators did.

    Raises:
        UsageError: a selector cannot be parsed.
    """
    return frozenset(act.app for act in acts if is_about(act.selector, labels))


def is_about(selector: str | None, labels: Mapping[str, str] | None) -> bool:
    """Whether a word with this selector concerns a node; one without a selector concerns all.

    Raises:
        UsageError: the selector cannot be parsed.
    """
    return not selector or (labels is not None and parse_selector(selector).matches(labels))


def decide_pins(
    node: str,
    composed: Mapping[str, AppDesired],
    said: Mapping[str, AppDesired],
    *,
    acted: Collection[str] = (),
    at: datetime,
    reason: str = "",
) -> tuple[PinRecord, ...]:
    """Pins of one node after a restore: every app for which the older copy would say something else than was said.

    An app that the older copy would add though the newer document did not list it is pinned as unlisted. Apps in `acted`
    are not pinned: there an operator spoke after the restore, and outranks what was said before it.
    """
    different = sorted(app for app in {*composed, *said} - {*acted} if composed.get(app) != said.get(app))
    return tuple(PinRecord(node, app, said.get(app), at, reason) for app in different)
