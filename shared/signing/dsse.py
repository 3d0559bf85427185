"""Sign and verify documents. Bytes are verified before they are parsed, and saved only after both."""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from shared.contracts.base import Document
from shared.contracts.codec import decode
from shared.contracts.envelope import Envelope, PublicKey, Role, Signature, TrustRoot, decode_base64, parse_envelope, payload_type
from shared.errors import Malformed, SignatureInvalid
from shared.signing.digests import canonical_json, sha256_hex
from shared.signing.keys import Signer, key_id

DocumentT = TypeVar("DocumentT", bound=Document)


@dataclass(frozen=True)
class Verified(Generic[DocumentT]):
    """A document whose signatures held. `digest` is SHA-256 of the signed payload."""

    document: DocumentT
    digest: str
    envelope: bytes
    keyids: tuple[str, ...]


def sign_document(document: Document, signers: Sequence[Signer]) -> bytes:
    """Envelope bytes (RFC 8785 JSON) with one signature per signer.

    Raises:
        ValueError: no signer was given.
        Malformed: the document holds what RFC 8785 cannot write.
    """
    if not signers:
        raise ValueError("at least one signer is needed")
    payload = base64.b64encode(canonical_json(document.to_json())).decode()
    unsigned = Envelope(payload=payload, payloadType=payload_type(document.KIND), signatures=(Signature(keyid="-", sig="-"),))
    message = unsigned.pae()
    signatures = tuple(Signature(keyid=signer.keyid, sig=base64.b64encode(signer.sign(message)).decode()) for signer in signers)
    return canonical_json(unsigned.model_copy(update={"signatures": signatures}).to_json())


def verify_document(
    raw: bytes, model: type[DocumentT], trust: TrustRoot, role: Role, *, features: Collection[str] = (), subject: str = ""
) -> Verified[DocumentT]:
    """Document of a verified envelope.

    Raises:
        TooLarge, Malformed: no envelope.
        SignatureInvalid: fewer valid signatures by keys of `role` than its threshold.
        UnsupportedVersion, UnsupportedFeature: signed, but unknown here.
    """
    name = subject or model.KIND
    envelope = parse_envelope(raw, subject=name)
    if envelope.payloadType != payload_type(model.KIND):
        raise Malformed(f"payload type is {envelope.payloadType!r}, expected {payload_type(model.KIND)!r}", subject=name)
    keyids = _valid_keyids(envelope, trust, role)
    threshold = trust.roles[role].threshold if role in trust.roles else 1
    if len(keyids) < threshold:
        raise SignatureInvalid(
            f"has {len(keyids)} valid signature(s) by keys of role {role.value!r}, needs {threshold}; signed by {_signed_by(envelope)}",
            subject=name,
            remedy="sign it with a key that the trust root lists for this role",
        )
    payload = envelope.payload_bytes()
    return Verified(decode(payload, model, features=features, subject=name), sha256_hex(payload), raw, keyids)


def make_trust_root(roles: dict[Role, Sequence[PublicKey]], *, version: int = 1) -> TrustRoot:
    """Trust root with threshold 1 for each role."""
    keys = {key_id(key): key for members in roles.values() for key in members}
    content = {
        "keys": {keyid: key.to_json() for keyid, key in keys.items()},
        "roles": {role: {"keyids": [key_id(key) for key in members]} for role, members in roles.items()},
        "version": version,
    }
    return TrustRoot.model_validate(content)


def _valid_keyids(envelope: Envelope, trust: TrustRoot, role: Role) -> tuple[str, ...]:
    allowed = trust.roles[role].keyids if role in trust.roles else ()
    message = envelope.pae()
    valid: list[str] = []
    for signature in envelope.signatures:
        key = trust.keys.get(signature.keyid)
        if key is not None and signature.keyid in allowed and signature.keyid not in valid and _holds(key, message, signature.sig):
            valid.append(signature.keyid)
    return tuple(valid)


def _holds(key: PublicKey, message: bytes, signature: str) -> bool:
    try:
        VerifyKey(bytes.fromhex(key.public_hex)).verify(message, decode_base64(signature))
    except (BadSignatureError, ValueError, Malformed):
        return False
    return True


def _signed_by(envelope: Envelope) -> str:
    return ", ".join(f"{signature.keyid[:12]}…" for signature in envelope.signatures)
