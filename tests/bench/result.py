"""What a bench gives: figures with a unit and a direction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Result:
    """One figure of one bench.

    Args:
        name: one of the NAMES of the module that measured it; the unit is its last word.
        value: the figure.
        unit: its unit: s, ms, MiB, ratio.
        better: which way is better.
        params: what it depends on (nodes, runs, percentile); "goal" is shown beside the value.
    """

    name: str
    value: float
    unit: str
    better: Literal["lower", "higher"]
    params: Mapping[str, object] = field(default_factory=dict)


class NotHere(Exception):
    """This machine cannot run this bench; says why, and the one line that would change it. No failure."""
