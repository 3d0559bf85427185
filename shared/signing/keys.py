"""Ed25519 keys: made, kept as PKCS#8 PEM (as `openssl genpkey -algorithm ed25519` writes them), named by key id."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

from nacl.signing import SigningKey

from shared.contracts.envelope import PublicKey
from shared.errors import UsageError
from shared.signing.digests import canonical_json, sha256_hex

# RFC 8410: PrivateKeyInfo of an Ed25519 seed is this prefix and the 32 bytes
_PKCS8_PREFIX = bytes.fromhex("302e020100300506032b657004220420")
_HEAD, _TAIL = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"


def key_id(key: PublicKey) -> str:
    """SHA-256 of the canonical key object, the rule of TUF and securesystemslib."""
    return sha256_hex(canonical_json({"keytype": key.keytype, "keyval": {"public": key.public_hex}, "scheme": key.scheme}))


@dataclass(frozen=True)
class Signer:
    """A private key with its id. The seed never shows in a repr or a log."""

    keyid: str
    public: PublicKey
    _key: SigningKey

    def __repr__(self) -> str:
        return f"Signer(keyid={self.keyid[:12]}…)"

    def sign(self, message: bytes) -> bytes:
        """64 bytes of Ed25519 signature."""
        return bytes(self._key.sign(message).signature)


def signer_from_seed(seed: bytes, *, name: str = "") -> Signer:
    """Signer of a 32-byte seed.

    Raises:
        UsageError: the seed has another length.
    """
    if len(seed) != 32:
        raise UsageError(f"an Ed25519 seed has 32 bytes, this has {len(seed)}", subject="key")
    key = SigningKey(seed)
    public = PublicKey(keyval={"public": bytes(key.verify_key).hex()}, name=name)
    return Signer(keyid=key_id(public), public=public, _key=key)


def generate_signer(*, name: str = "") -> Signer:
    """A new key from the system's random source."""
    return signer_from_seed(os.urandom(32), name=name)


def save_signer(signer: Signer, path: Path) -> None:
    """Write the private key as PEM, readable by its owner only. Never overwrites.

    Raises:
        UsageError: the file exists.
        OSError: it cannot be written.
    """
    body = base64.encodebytes(_PKCS8_PREFIX + bytes(signer._key)).decode().strip()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise UsageError("exists and is not overwritten", subject=str(path), remedy="move it away or choose another path") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{_HEAD}\n{body}\n{_TAIL}\n")
        file.flush()
        os.fsync(file.fileno())


def load_signer(path: Path, *, name: str = "") -> Signer:
    """Read a PEM private key.

    Raises:
        UsageError: missing, unreadable, or no unencrypted Ed25519 PKCS#8 key.
    """
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"signing key cannot be read: {error}", subject=str(path), remedy="give the right path with --key") from error
    lines = [line.strip() for line in text.strip().splitlines()]
    if not lines or lines[0] != _HEAD or lines[-1] != _TAIL:
        raise UsageError("is no unencrypted PKCS#8 PEM key", subject=str(path), remedy="make one with: openssl genpkey -algorithm ed25519")
    try:
        der = base64.b64decode("".join(lines[1:-1]), validate=True)
    except ValueError as error:
        raise UsageError(f"is damaged: {error}", subject=str(path)) from error
    if len(der) != len(_PKCS8_PREFIX) + 32 or not der.startswith(_PKCS8_PREFIX):
        raise UsageError("is no Ed25519 key", subject=str(path), remedy="make one with: openssl genpkey -algorithm ed25519")
    return signer_from_seed(der[len(_PKCS8_PREFIX) :], name=name or path.stem)
