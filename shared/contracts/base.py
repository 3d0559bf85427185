"""Base of every contract: frozen, finite numbers only, unknown fields of the same major version ignored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer, StringConstraints

NODE_PATTERN = r"^[a-z0-9-]{1,63}$"
APP_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
DIGEST_PATTERN = r"^[0-9a-f]{64}$"

NodeId = Annotated[str, StringConstraints(pattern=NODE_PATTERN)]
"""A node's name; one token of a NATS subject, so no dots and no wildcards."""
AppName = Annotated[str, StringConstraints(pattern=APP_PATTERN)]
"""A DNS label (RFC 1123)."""
NamespaceName = Annotated[str, StringConstraints(pattern=APP_PATTERN)]
Digest = Annotated[str, StringConstraints(pattern=DIGEST_PATTERN)]
"""SHA-256 as 64 lower-case hexadecimal digits."""
SemVer = Annotated[
    str,
    StringConstraints(pattern=r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$", max_length=128),
]
SiteName = NodeId
GateId = NodeId
SchemaVersion = Annotated[str, StringConstraints(pattern=r"^\d{1,4}\.\d{1,4}$")]


def format_utc(moment: datetime) -> str:
    """RFC 3339 in UTC with `Z`, microseconds kept."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


UtcTime = Annotated[AwareDatetime, PlainSerializer(format_utc, return_type=str, when_used="json")]
"""An aware time; written as RFC 3339."""


class Contract(BaseModel):
    """A value inside a document. Immutable; unknown fields are ignored so that a newer minor version can be read."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, ser_json_inf_nan="null", protected_namespaces=())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data."""
        return self.model_dump(mode="json")


class Document(Contract):
    """A versioned document. `critical` names features without which it must not be used."""

    KIND: ClassVar[str]
    MAJOR: ClassVar[int] = 1
    MAX_BYTES: ClassVar[int] = 256 * 1024

    kind: str
    schema_version: SchemaVersion = "1.0"
    critical: tuple[str, ...] = ()
