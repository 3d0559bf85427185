"""Order of Desired documents, and what tells that the database is an older copy of itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from central.model import NO_ORDER, Order

MAX_BELIEVED = 2**40
"""A report is a node's unsigned word: a higher generation than this is nonsense, and must not become central's."""
MAX_EPOCH_STEP = 1_000
"""Each restore raises the epoch by one: an epoch that is further above central's own is nonsense too."""


def next_order(epoch: int, *known: Order) -> Order:
    """Order of the next Desired of a node: above everything known of it, in central's epoch.

    Args:
        epoch: central's epoch.
        known: orders that the database issued, the KV bucket holds, or the node reported.

    Raises:
        ValueError: something known has a higher epoch; the epoch must be raised first (`detect_restore`).
    """
    highest = max(known, default=NO_ORDER)
    if highest[0] > epoch:
        raise ValueError(f"epoch {epoch} is behind a known order {highest}; raise it first")
    # the generation grows over epochs too: whatever a reader compares, newer stays higher
    return (epoch, max((order[1] for order in known), default=0) + 1)


@dataclass(frozen=True)
class RestoreVerdict:
    """Whether central runs from an older copy. `ahead`: nodes that were told more than the database knows."""

    restored: bool
    epoch: int
    """To use from now on."""
    ahead: tuple[str, ...] = ()


def detect_restore(epoch: int, highest: Mapping[str, Order], seen: Mapping[str, Iterable[Order]]) -> RestoreVerdict:
    """Compare what central ever issued with what the world has seen of it.

    Args:
        epoch: central's epoch by its database.
        highest: highest order ever issued, by node, deleted nodes too.
        seen: by node, orders in the KV bucket (signature checked) and in the node's reports.

    Returns:
        Restored where anything seen is above what was issued; then with an epoch above all that was seen.
    """
    seen = {node: believable(orders, epoch) for node, orders in seen.items()}
    ahead = tuple(sorted(node for node, orders in seen.items() if max(orders, default=NO_ORDER) > highest.get(node, NO_ORDER)))
    if not ahead:
        return RestoreVerdict(False, epoch)
    top = max(order[0] for orders in seen.values() for order in orders)
    return RestoreVerdict(True, epoch if epoch > top else top + 1, ahead)


def believable(orders: Iterable[Order], epoch: int) -> tuple[Order, ...]:
    """Those of the orders that a central which is now in `epoch` could have issued at all."""
    highest_epoch = epoch + MAX_EPOCH_STEP
    return tuple(order for order in orders if min(order) >= 0 and order[0] <= highest_epoch and order[1] <= MAX_BELIEVED)


def may_issue(restored_at: datetime | None, heard_at: datetime | None) -> bool:
    """Whether a Desired may go to a node now.

    After a restore a node is left alone until central has looked at its KV document or at a report that came after the
    restore: else a raised epoch would take it back to what the older copy says.

    Args:
        restored_at: when the restore was noticed; None: there was none.
        heard_at: when the node's KV document or its newest report was last looked at, or when it was added.
    """
    return restored_at is None or (heard_at is not None and heard_at >= restored_at)
