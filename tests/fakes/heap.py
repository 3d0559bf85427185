"""All that this process holds, by type: every object that Python's collector knows, and what those alone hold.

Counted between two moments it shows a leak wherever it is made, at the cost of one walk for each of them; tracing each
allocation costs several times the run, and misses what a library's code allocates for ours.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterable
from types import FunctionType, ModuleType

SHARED = (type, ModuleType, FunctionType)
"""Not walked through: everything hangs on them."""


def weigh(without: Iterable[object] = ()) -> Counter[str]:
    """Bytes by type name, of all but what hangs on `without`."""
    gc.collect()
    outside = _reachable(without)
    seen: set[int] = set(outside)
    found: Counter[str] = Counter()
    for held in gc.get_objects():
        if id(held) in outside or held is outside or held is seen or held is found:
            continue
        _add(held, seen, found)
        for part in gc.get_referents(held):
            if not gc.is_tracked(part):
                _add(part, seen, found)
                # a tuple of numbers is no longer tracked, and still holds them
                for atom in gc.get_referents(part):
                    if not gc.is_tracked(atom):
                        _add(atom, seen, found)
    return found


def growth(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    """Bytes that each type gained or lost, the largest first."""
    changed = {name: after[name] - before[name] for name in {*before, *after} if after[name] != before[name]}
    return dict(sorted(changed.items(), key=lambda item: -abs(item[1])))


def _add(held: object, seen: set[int], found: Counter[str]) -> None:
    if id(held) not in seen:
        seen.add(id(held))
        kind = type(held)
        found[f"{kind.__module__}.{kind.__qualname__}"] += sys.getsizeof(held)


def _reachable(roots: Iterable[object]) -> set[int]:
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        held = waiting.pop()
        if id(held) in found or isinstance(held, SHARED):
            continue
        found.add(id(held))
        waiting += gc.get_referents(held)
    return found
