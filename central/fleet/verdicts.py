"""What a node's own words say about a release: it ran well there, or it did not."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared.contracts.base import DIGEST_PATTERN
from shared.contracts.event import Event, EventType
from shared.contracts.status import AppPhase, NodeStatus

GOOD_PHASES = frozenset({AppPhase.READY})
BAD_PHASES = frozenset({AppPhase.ROLLED_BACK, AppPhase.FAILED, AppPhase.REFUSED, AppPhase.UNSUPPORTED})
_DIGEST = re.compile(DIGEST_PATTERN)
_BAD_EVENTS = frozenset({EventType.RELEASE_FAILED, EventType.RELEASE_ROLLED_BACK, EventType.RELEASE_REFUSED})


@dataclass(frozen=True)
class ReleaseVerdict:
    """One node's word on one release."""

    app: str
    release_digest: str
    node: str
    good: bool


def verdicts_of_status(status: NodeStatus) -> tuple[ReleaseVerdict, ...]:
    """Verdicts in a status: Ready is good; RolledBack, Failed, Refused and Unsupported are bad; anything else says nothing."""
    found = []
    for app, state in sorted(status.apps.items()):
        release = state.desired.release if state.desired is not None else None
        if release is not None and (state.phase in GOOD_PHASES or state.phase in BAD_PHASES):
            found.append(ReleaseVerdict(app, release.release_digest, status.node, state.phase in GOOD_PHASES))
    return tuple(found)


def verdict_of_event(node: str, event: Event) -> ReleaseVerdict | None:
    """The verdict that a release event carries, or None."""
    digest, app = event.data.get("release_digest"), event.data.get("app")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest) or not isinstance(app, str):
        return None
    if event.event_type is EventType.RELEASE_READY:
        return ReleaseVerdict(app, digest, node, True)
    if event.event_type in _BAD_EVENTS:
        return ReleaseVerdict(app, digest, node, False)
    return None
