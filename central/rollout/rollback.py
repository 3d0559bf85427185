"""Where `munbon rollback` goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shared.contracts.api import RolloutPhase


@dataclass(frozen=True)
class HistoryEntry:
    """One move of an assignment."""

    version: str
    release_digest: str
    kind: Literal["rollout", "rollback"]
    phase: RolloutPhase
    nodes_ready: int = 0
    """On how many nodes the release was ever Ready."""
    nodes_failed: int = 0


@dataclass(frozen=True)
class RollbackChoice:
    """Version to go to, or None and why not. `further`: what lies before it, to be named with `--to`."""

    version: str | None
    reason: str
    further: str | None = None


def rollback_target(history: Sequence[HistoryEntry], current: str) -> RollbackChoice:
    """The last release verified before the current one; never two steps.

    Verified is a release of which a rollout succeeded; or that was Ready on a node and failed on none, where no rollout
    of it ended Failed. When the current release was itself reached by a rollback there is no choice: a repeated command
    must not go back twice, so the next step has to be named.

    Args:
        history: moves of the assignment, oldest first.
        current: version that the assignment says now.
    """
    newest = next((index for index in range(len(history) - 1, -1, -1) if history[index].version == current), None)
    if newest is None:
        return RollbackChoice(None, f"version {current} is not in the history of the assignment")
    rolled_back = history[newest].kind == "rollback"
    # a rollback stands after what it left; what came before its release is found from that release's own rollout
    own = _own_rollout(history, newest)
    earlier = _verified_before(history, own, current)
    if rolled_back:
        return RollbackChoice(None, f"it was already rolled back to {current}", earlier)
    if earlier is None:
        return RollbackChoice(None, f"no release was verified before {current}")
    return RollbackChoice(earlier, f"{earlier} is the last release verified before {current}")


def _own_rollout(history: Sequence[HistoryEntry], newest: int) -> int:
    digest = history[newest].release_digest
    own = [index for index in range(newest + 1) if history[index].release_digest == digest and history[index].kind == "rollout"]
    return own[-1] if own else newest


def _verified_before(history: Sequence[HistoryEntry], index: int, current: str) -> str | None:
    for entry in reversed(history[:index]):
        if entry.version != current and _is_verified(history, entry.release_digest):
            return entry.version
    return None


def _is_verified(history: Sequence[HistoryEntry], digest: str) -> bool:
    own = [entry for entry in history if entry.release_digest == digest]
    phases = {entry.phase for entry in own}
    if RolloutPhase.SUCCEEDED in phases:
        return True
    if RolloutPhase.FAILED in phases:
        return False
    return any(entry.nodes_ready > 0 and entry.nodes_failed == 0 for entry in own)
