"""Canonical JSON and digests."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from typing import Any

import rfc8785

from shared.contracts.limits import MAX_CONTENT_BYTES
from shared.errors import DigestMismatch, Malformed, TooLarge


def canonical_json(content: Any) -> bytes:
    """RFC 8785 form of plain JSON data.

    Raises:
        Malformed: it holds what JSON cannot (NaN, an integer beyond 2**53, a key that is no string).
    """
    try:
        return rfc8785.dumps(content)
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise Malformed(f"cannot be written as RFC 8785 JSON: {error}", subject="content") from error


def sha256_hex(content: bytes) -> str:
    """SHA-256 as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def pack_blob(content: bytes) -> bytes:
    """Gzip with a fixed header, so that the same content always has the same blob digest."""
    return gzip.compress(content, compresslevel=9, mtime=0)


def unpack_blob(blob: bytes, encoding: str, *, max_bytes: int = MAX_CONTENT_BYTES) -> bytes:
    """Content of a blob, never more than `max_bytes` (a small blob may unpack to gigabytes).

    Raises:
        TooLarge: it unpacks to more than `max_bytes`.
        Malformed: it is no gzip, or the encoding is unknown.
    """
    if encoding == "identity":
        content = blob
    elif encoding == "gzip":
        unpacker = zlib.decompressobj(wbits=31)
        try:
            content = unpacker.decompress(blob, max_bytes + 1)
        except zlib.error as error:
            raise Malformed(f"is not valid gzip: {error}", subject="blob") from error
        if len(content) <= max_bytes and not unpacker.eof:
            raise Malformed("is cut short", subject="blob")
    else:
        raise Malformed(f"encoding {encoding!r} is unknown", subject="blob")
    if len(content) > max_bytes:
        raise TooLarge(f"unpacks to more than {max_bytes} bytes, the limit", subject="blob")
    return content


def check_digest(content: bytes, expected: str, *, subject: str) -> None:
    """Raise unless the SHA-256 of `content` is `expected`.

    Raises:
        DigestMismatch: it is not.
    """
    actual = sha256_hex(content)
    if actual != expected:
        raise DigestMismatch(f"has SHA-256 {actual}, expected {expected}", subject=subject, remedy="fetch it again")
