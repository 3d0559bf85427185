"""What one node should run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from central.compose.selector import parse_selector
from central.model import AssignmentRecord, PauseRecord, PinRecord, ReleaseRecord
from shared.contracts.desired import AppDesired, AppState


def compose_desired(
    node: str,
    labels: Mapping[str, str],
    assignments: Iterable[AssignmentRecord],
    pins: Iterable[PinRecord],
    releases: Mapping[str, ReleaseRecord],
    pauses: Iterable[PauseRecord] = (),
) -> dict[str, AppDesired]:
    """Apps of one node, by name.

    For each app the matching assignment that was moved last wins; a pause on top keeps what runs; a pin goes before
    both. An assignment whose release is unknown here is passed over, for a node must not lose an app by central's doubt.

    Raises:
        UsageError: a stored selector cannot be parsed.
    """
    winners: dict[str, AssignmentRecord] = {}
    for assignment in assignments:
        standing = winners.get(assignment.app)
        known = assignment.state is AppState.ABSENT or assignment.release_digest in releases
        if known and (standing is None or assignment.move > standing.move) and parse_selector(assignment.selector).matches(labels):
            winners[assignment.app] = assignment
    paused = {pause.app for pause in pauses if parse_selector(pause.selector).matches(labels)}
    composed = {app: _app_desired(winner, releases, paused=app in paused) for app, winner in winners.items()}
    for pin in pins:
        if pin.node == node:
            _put_pin(composed, pin)
    return dict(sorted(composed.items()))


def _app_desired(assignment: AssignmentRecord, releases: Mapping[str, ReleaseRecord], *, paused: bool) -> AppDesired:
    known = releases.get(assignment.release_digest or "")
    release = known.ref() if known is not None else None
    if assignment.state is AppState.ABSENT:
        # a pause keeps what runs, and so also keeps a removal away
        state = AppState.PAUSED if paused else AppState.ABSENT
    else:
        state = AppState.PAUSED if paused else AppState.PRESENT
    return AppDesired(
        state=state, release=release, settings=dict(assignment.settings), attempt=assignment.attempt, rollout_id=assignment.rollout_id
    )


def _put_pin(composed: dict[str, AppDesired], pin: PinRecord) -> None:
    if pin.desired is None:
        composed.pop(pin.app, None)
    else:
        composed[pin.app] = pin.desired
