"""Which apps a node should run; pure.

Takes: labels, assignments, pauses, pins and releases; orders that were issued or seen.
Gives: `AppDesired` for each app of a node, the next order, and whether the database is an older copy.
May import: `central.model`, `shared.contracts`, `shared.errors`, the standard library's data types.
Never: reads a clock or a store, signs, or publishes.
"""

from central.compose.desired import compose_desired, compose_nodes
from central.compose.order import RestoreVerdict, believable, detect_restore, may_issue, next_order
from central.compose.pins import apps_acted_on, decide_pins, is_about, newest_said
from central.compose.selector import Selector, normalise_selector, parse_selector

__all__ = [
    "RestoreVerdict",
    "Selector",
    "apps_acted_on",
    "believable",
    "compose_desired",
    "compose_nodes",
    "decide_pins",
    "detect_restore",
    "is_about",
    "may_issue",
    "newest_said",
    "next_order",
    "normalise_selector",
    "parse_selector",
]
