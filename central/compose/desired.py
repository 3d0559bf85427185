"""What each node should run."""

from __future__ import annotations

import functools
from collections import defaultdict
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
    """Apps of one node, by name; as `compose_nodes`."""
    return compose_nodes({node: labels}, assignments, pins, releases, pauses)[node]


def compose_nodes(
    labels_by_node: Mapping[str, Mapping[str, str]],
    assignments: Iterable[AssignmentRecord],
    pins: Iterable[PinRecord],
    releases: Mapping[str, ReleaseRecord],
    pauses: Iterable[PauseRecord] = (),
) -> dict[str, dict[str, AppDesired]]:
    """Apps of each node, by node and by app.

    For each app the matching assignment that was moved last wins; a pause on top keeps what runs; a pin goes before
    both. An assignment whose release is unknown here is passed over, for a node must not lose an app by central's doubt.

    Raises:
        UsageError: a stored selector cannot be parsed.
    """
    # the last that matches wins, so the newest goes last
    standing = sorted((item for item in assignments if _is_known(item, releases)), key=lambda item: item.move)
    selected = [(item, parse_selector(item.selector)) for item in standing]
    laid = [(pause.app, parse_selector(pause.selector)) for pause in pauses]
    pinned: dict[str, list[PinRecord]] = defaultdict(list)
    for pin in pins:
        pinned[pin.node].append(pin)

    @functools.cache
    def said(index: int, *, paused: bool) -> AppDesired:
        # the same for every node: made once
        return _app_desired(standing[index], releases, paused=paused)

    composed = {}
    for node, labels in labels_by_node.items():
        winners = {item.app: index for index, (item, selector) in enumerate(selected) if selector.matches(labels)}
        paused = {app for app, selector in laid if selector.matches(labels)}
        apps = {app: said(index, paused=app in paused) for app, index in winners.items()}
        for pin in pinned.get(node, ()):
            _put_pin(apps, pin)
        composed[node] = dict(sorted(apps.items()))
    return composed


def _is_known(assignment: AssignmentRecord, releases: Mapping[str, ReleaseRecord]) -> bool:
    return assignment.state is AppState.ABSENT or assignment.release_digest in releases


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
