"""DSSE envelope (Dead Simple Signing Envelope v1) as data, its pre-authentication encoding, and the trust root."""

from __future__ import annotations

import base64
import binascii
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, field_validator

from shared.contracts.base import Contract, Digest, Document
from shared.contracts.codec import parse_json_object, validate
from shared.contracts.limits import MAX_ENVELOPE_BYTES
from shared.errors import Malformed

MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json"


def payload_type(kind: str) -> str:
    """DSSE payload type of a Munbon document."""
    return f"application/vnd.munbon.{kind.lower()}+json"


class Role(StrEnum):
    """Who may sign what."""

    RELEASE = "release"
    DESIRED = "desired"
    COMMAND = "command"
    GATE_PLAN = "gate_plan"
    GATE_COMMAND = "gate_command"
    """A trust root without it lets the keys of `gate_plan` sign commands: a plan can order the same."""


_ROLES = frozenset(Role)


class Signature(Contract):
    """One signature over the PAE, standard base64."""

    keyid: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    sig: Annotated[str, StringConstraints(min_length=1, max_length=4096)]


class Envelope(Contract):
    """DSSE JSON envelope; `payload` is standard base64 of the signed bytes."""

    payload: str
    payloadType: Annotated[str, StringConstraints(max_length=256)]  # noqa: N815 - the DSSE specification's own name
    signatures: Annotated[tuple[Signature, ...], Field(min_length=1, max_length=16)]

    def payload_bytes(self) -> bytes:
        """The signed bytes.

        Raises:
            Malformed: not base64.
        """
        return decode_base64(self.payload)

    def pae(self) -> bytes:
        """Pre-authentication encoding of DSSE v1: what is really signed."""
        kind = self.payloadType.encode("utf-8")
        body = self.payload_bytes()
        return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


def decode_base64(text: str) -> bytes:
    """Bytes of standard base64.

    Raises:
        Malformed: it is none.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"is not base64: {error}", subject="envelope") from error


def parse_envelope(raw: bytes, *, subject: str = "envelope") -> Envelope:
    """Envelope from its JSON bytes; says nothing about signatures.

    Raises:
        TooLarge, Malformed: as their names say.
    """
    return validate(parse_json_object(raw, subject=subject, max_bytes=MAX_ENVELOPE_BYTES), Envelope, subject=subject)


class PublicKey(Contract):
    """An Ed25519 public key in the form that TUF and securesystemslib use."""

    keytype: Literal["ed25519"] = "ed25519"
    scheme: Literal["ed25519"] = "ed25519"
    keyval: dict[str, Any]
    name: str = ""

    @field_validator("keyval")
    @classmethod
    def _has_public(cls, value: dict[str, Any]) -> dict[str, Any]:
        public = value.get("public")
        if not isinstance(public, str) or len(public) != 64 or not all(digit in "0123456789abcdef" for digit in public):
            raise ValueError("keyval.public must be 64 lower-case hexadecimal digits")
        return value

    @property
    def public_hex(self) -> str:
        """32 bytes as hexadecimal."""
        return str(self.keyval["public"])


class RoleKeys(Contract):
    """Keys of one role and how many of them must sign."""

    keyids: tuple[Digest, ...]
    threshold: Annotated[int, Field(ge=1, le=16)] = 1


class TrustRoot(Document):
    """Which keys may sign what, as installed by the node's owner. Rotation under the old threshold comes later."""

    KIND: ClassVar[str] = "TrustRoot"

    kind: Literal["TrustRoot"] = "TrustRoot"
    version: Annotated[int, Field(ge=1)] = 1
    keys: dict[Digest, PublicKey]
    roles: dict[Role, RoleKeys]

    @field_validator("roles", mode="before")
    @classmethod
    def _newer_roles_are_left_out(cls, value: Any) -> Any:
        return {name: keys for name, keys in value.items() if name in _ROLES} if isinstance(value, dict) else value
