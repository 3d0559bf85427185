"""What the engine remembers between passes, only to save requests: losing it costs dry-runs, never rightness."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.model import Manifest
from edge_agent.observe.targets import Target
from edge_agent.plan.access import resource_version
from edge_agent.plan.decide import Seen, mark_of
from shared.contracts.event import ObjectRef


class Memory:
    """Per app: what was seen equal, and which release was applied to its end."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, ObjectRef], Seen] = {}
        self._versions: dict[tuple[str, ObjectRef], str] = {}
        self._complete: dict[str, tuple[str, ...]] = {}

    def seen(self, app: str, ref: ObjectRef) -> Seen | None:
        """What was equal when last looked at."""
        return self._seen.get((app, ref))

    def note(self, app: str, target: Target, live: Manifest) -> None:
        """Live and desired are equal at this version."""
        self._seen[(app, target.ref)] = Seen(mark_of(live), target.digest)
        self._versions[(app, target.ref)] = resource_version(live)

    def is_own_write(self, app: str, ref: ObjectRef, version: str) -> bool:
        """Whether the object's version is one that our own apply made or saw equal."""
        return self._versions.get((app, ref)) == version

    def forget(self, app: str) -> None:
        """Look at everything of this app again."""
        self._seen = {key: seen for key, seen in self._seen.items() if key[0] != app}
        self._complete.pop(app, None)

    def note_complete(self, app: str, targets: Sequence[Target]) -> None:
        """All waves of these objects were applied: a later pass only repairs, and does not wait between waves."""
        self._complete[app] = tuple(sorted(target.digest for target in targets))

    def is_complete(self, app: str, targets: Sequence[Target]) -> bool:
        """Whether exactly these objects were applied to their end before."""
        return self._complete.get(app) == tuple(sorted(target.digest for target in targets))
