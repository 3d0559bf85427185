"""Who asks: a named bearer token, of which only the SHA-256 is kept."""

from __future__ import annotations

import hmac

from central.api.dependencies import ApiDependencies
from central.identity.secrets import token_digest
from central.store import tokens

_SCHEME = "bearer"
_MAX_TOKEN_CHARS = 512


async def authenticate(dependencies: ApiDependencies, header: str) -> str | None:
    """Name of the token in an `Authorization` header, or None.

    The store is asked by digest, so how long a wrong guess takes tells nothing of a right one; the digests are then compared in
    constant time.

    Raises:
        Retryable: the store cannot be read.
    """
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != _SCHEME or not token or len(token) > _MAX_TOKEN_CHARS:
        return None
    digest = token_digest(token)
    record = await dependencies.database.read(lambda tx: tokens.find_token(tx, digest))
    if record is None or not hmac.compare_digest(record.token_digest, digest):
        return None
    return record.name
