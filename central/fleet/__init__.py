"""What central knows of its nodes, folded from what they say; pure.

Takes: events, reports, signs of life, and the time.
Gives: presence, the newer of two reports, gate samples, sequence ranges, and the fleet's sight.
May import: `central.model`, `shared.contracts`, the standard library's data types.
Never: reads a clock or a store.
"""

from central.fleet.fold import FleetSight, NodeSight, fold, is_newer_report, presence, presence_after_absence, waiting_events
from central.fleet.samples import samples_of
from central.fleet.sequences import add_range, count_covered
from central.fleet.verdicts import ReleaseVerdict, verdict_of_event, verdicts_of_status

__all__ = [
    "FleetSight",
    "NodeSight",
    "ReleaseVerdict",
    "add_range",
    "count_covered",
    "fold",
    "is_newer_report",
    "presence",
    "presence_after_absence",
    "samples_of",
    "verdict_of_event",
    "verdicts_of_status",
    "waiting_events",
]
