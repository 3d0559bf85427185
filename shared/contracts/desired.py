"""Desired: one signed document per node; what should run there."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from shared.contracts.base import AppName, Contract, Document, NodeId, UtcTime
from shared.contracts.release import ReleaseRef


class AppState(StrEnum):
    """What central wants of an app. Only `absent` deletes."""

    PRESENT = "present"
    ABSENT = "absent"
    PAUSED = "paused"
    """Keep what runs, apply nothing, heal nothing."""


class AppDesired(Contract):
    """One app on one node."""

    state: AppState = AppState.PRESENT
    release: ReleaseRef | None = None
    settings: dict[str, str] = Field(default_factory=dict)
    """Become one ConfigMap; never template objects."""
    attempt: Annotated[int, Field(ge=1)] = 1
    """Raised to try a known-bad release again."""
    rollout_id: str = ""

    @model_validator(mode="after")
    def _present_has_release(self) -> AppDesired:
        if self.state is AppState.PRESENT and self.release is None:
            raise ValueError("state present needs a release")
        return self


class Desired(Document):
    """All apps of one node. Ordered by (epoch, generation); a node never goes back."""

    KIND: ClassVar[str] = "Desired"

    kind: Literal["Desired"] = "Desired"
    node: NodeId
    epoch: Annotated[int, Field(ge=1)]
    generation: Annotated[int, Field(ge=1)]
    issued_at: UtcTime
    expires_at: UtcTime | None = None
    """Judged on first acceptance only, and only with a synchronised clock."""
    apps: dict[AppName, AppDesired] = Field(default_factory=dict)

    @property
    def order(self) -> tuple[int, int]:
        """(epoch, generation), to be compared as a pair."""
        return (self.epoch, self.generation)
