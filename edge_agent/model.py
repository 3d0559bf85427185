"""Types that the agent's folders pass to each other. Pure; frozen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol

from shared.contracts.event import Cause, ObjectRef
from shared.contracts.release import DeliveryPolicy, ReleaseRef

Manifest = dict[str, Any]
"""One Kubernetes object as plain JSON data."""


@dataclass(frozen=True)
class Render:
    """What a release comes down to on this node: its objects, the settings ConfigMap among them."""

    app: str
    release_digest: str
    version: str
    namespace: str
    objects: tuple[Manifest, ...]
    delivery: DeliveryPolicy
    settings: dict[str, str] = field(default_factory=dict)
    allow_secrets: bool = False


@dataclass(frozen=True)
class InventoryEntry:
    """One object that an app made or took over. `created`: it did not exist before this app's first apply."""

    ref: ObjectRef
    api_version: str
    uid: str = ""
    created: bool = False
    digest: str = ""
    """Of the manifest as last applied; tells a Job that its own time to live removed from one that never ran. May get lost."""


class Verdict(StrEnum):
    """What an assessment comes to; worst wins: FAILED, PROGRESSING, READY."""

    READY = "ready"
    PROGRESSING = "progressing"
    FAILED = "failed"


@dataclass(frozen=True)
class ObjectHealth:
    """Health of one object."""

    ref: ObjectRef
    verdict: Verdict
    message: str = ""
    cause: Cause | None = None


@dataclass(frozen=True)
class Assessment:
    """Health of a whole render. `images_ready` is False while only image pulls are pending."""

    verdict: Verdict
    cause: Cause | None = None
    message: str = ""
    images_ready: bool = True
    objects: tuple[ObjectHealth, ...] = ()


@dataclass(frozen=True)
class Change:
    """What one pass did to one object."""

    ref: ObjectRef
    action: Literal["created", "configured", "unchanged", "deleted", "kept", "conflict", "skipped"]


@dataclass(frozen=True)
class ConvergeResult:
    """One pass. `waiting` is empty when all stages are applied; `cause` says what stopped it."""

    changes: tuple[Change, ...] = ()
    waiting: str = ""
    cause: Cause | None = None
    inventory: tuple[InventoryEntry, ...] = ()
    generations: dict[ObjectRef, int] = field(default_factory=dict)


@dataclass(frozen=True)
class PruneResult:
    """What a prune came to. `kept`: opted out, foreign or protected. `pending`: still terminating, or refused.

    Prune again until nothing is pending; `messages` says why something is kept or pending, a sentence each.
    """

    deleted: tuple[ObjectRef, ...] = ()
    kept: tuple[ObjectRef, ...] = ()
    pending: tuple[ObjectRef, ...] = ()
    messages: tuple[str, ...] = ()


@dataclass(frozen=True)
class DriftHint:
    """An object of an app changed, and not by us: look again. Never trusted for more than that."""

    app: str
    ref: ObjectRef
    reason: Literal["changed", "deleted", "status"]
    """`status`: only its status moved, so its health may have changed but not what was applied."""


class InventoryPort(Protocol):
    """Where inventories are kept; each call is durable before it returns."""

    def load(self, app: str) -> tuple[InventoryEntry, ...]:
        """The app's inventory; empty where there is none."""
        ...

    def save(self, app: str, entries: Sequence[InventoryEntry]) -> None:
        """Replace the app's inventory."""
        ...


# --- core


@dataclass(frozen=True)
class Moment:
    """Now, on both clocks. Monotonic times of different boots must not be compared."""

    boot_id: str
    monotonic_s: float
    wall: datetime


@dataclass(frozen=True)
class Timer:
    """Time spent so far, and since when it runs; `since` is None while it stands."""

    spent_s: float = 0.0
    since: Moment | None = None


@dataclass(frozen=True)
class ReleaseKey:
    """What a verdict is about: these objects with these settings, at this attempt."""

    release_digest: str
    settings_digest: str
    attempt: int


@dataclass(frozen=True)
class Target:
    """One release with its settings, as central wanted it at one attempt."""

    ref: ReleaseRef
    settings: Mapping[str, str] = field(default_factory=dict)
    attempt: int = 1
    rollout_id: str = ""

    @property
    def key(self) -> ReleaseKey:
        """What verdicts go by."""
        return ReleaseKey(self.ref.release_digest, settings_digest(self.settings), self.attempt)

    def has_content_of(self, other: Target) -> bool:
        """Whether both put the same objects into the cluster, whatever the attempt."""
        return self.ref.release_digest == other.ref.release_digest and dict(self.settings) == dict(other.settings)


class Purpose(StrEnum):
    """Why something is applied."""

    RELEASE = "release"
    """Wanted, and not known to be good here: may be held, and may fail."""
    ROLLBACK = "rollback"
    """Last good again, for what was wanted is bad."""
    RESTORE = "restore"
    """Wanted and last good already, but not what is in the cluster (a new cluster, a repeated attempt)."""


class Stage(StrEnum):
    """How far the apply in hand is."""

    APPLYING = "applying"
    WAITING = "waiting"
    """All is applied; health is awaited."""


@dataclass(frozen=True)
class Hand:
    """The apply in hand, written before its first call and taken away when it is settled.

    `bad` and `cause`: of a rollback, what is gone back from and why. `gave_up`: health was given up and reported;
    it is still healed and looked at, and may yet come.
    """

    target: Target
    purpose: Purpose
    stage: Stage = Stage.APPLYING
    began: Timer = Timer()
    health: Timer = Timer()
    pull: Timer = Timer()
    soak: Timer = Timer()
    bad: Target | None = None
    cause: Cause | None = None
    discarded: bool = False
    gave_up: bool = False


@dataclass(frozen=True)
class Waits:
    """What happened to a target before its apply began: how long it is fetched and held, and what was said about that."""

    key: ReleaseKey
    fetch: Timer = Timer()
    hold: Timer = Timer()
    told: frozenset[str] = frozenset()


@dataclass(frozen=True)
class BadVerdict:
    """A release was tried here and is bad."""

    key: ReleaseKey
    version: str
    cause: Cause


@dataclass(frozen=True)
class AppRecord:
    """All that is kept of an app over restarts. `current`: what was last begun in this cluster."""

    app: str
    current: Target | None = None
    last_good: Target | None = None
    hand: Hand | None = None
    waits: Waits | None = None
    verdicts: tuple[BadVerdict, ...] = ()
    prune_due: bool = False
    told: str = ""
    """What was last said about an app that is paused, orphaned or removed, so that it is said once."""

    def verdict_on(self, key: ReleaseKey) -> BadVerdict | None:
        """The verdict on one key, if it is known bad."""
        return next((verdict for verdict in self.verdicts if verdict.key == key), None)


class MaterialState(StrEnum):
    """Whether the objects of a target are on this node."""

    READY = "ready"
    MISSING = "missing"
    REFUSED = "refused"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True)
class Material:
    """The objects of a target as far as they are here; `cause` says why they were refused."""

    state: MaterialState
    cause: Cause | None = None


@dataclass(frozen=True)
class HoldState:
    """What the gate process says about updates."""

    is_held: bool = False
    is_flood: bool = False
    reason: str = ""


def settings_digest(settings: Mapping[str, str]) -> str:
    """SHA-256 of settings, whatever their order."""
    return hashlib.sha256(json.dumps(dict(settings), sort_keys=True, separators=(",", ":")).encode()).hexdigest()
