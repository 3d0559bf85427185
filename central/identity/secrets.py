"""Tokens of operators and passwords of nodes: made here, kept only as digests."""

from __future__ import annotations

import hashlib
import secrets

import bcrypt

TOKEN_PREFIX = "mbt_"
"""Lets a scanner of leaked secrets know one."""
_TOKEN_BYTES = 32
_PASSWORD_BYTES = 32
# nats-server compares at every connect, a whole fleet at once after an outage. The password is 256 random bits, which no
# number of rounds makes harder to guess, so the cheapest cost that bcrypt knows is right (about 1 ms).
_BCRYPT_COST = 4


def new_token() -> str:
    """A fresh token of 256 random bits."""
    return TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)


def token_digest(token: str) -> str:
    """SHA-256 of a token: what the store keeps and looks up. A token is random, so a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def new_node_password() -> str:
    """A fresh password of 256 random bits, 43 characters."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def hash_node_password(password: str) -> str:
    """Bcrypt hash (`$2b$`) as nats-server takes it in its configuration.

    Raises:
        ValueError: longer than the 72 bytes that bcrypt looks at.
    """
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=_BCRYPT_COST)).decode("ascii")


def check_node_password(password: str, password_hash: str) -> bool:
    """Whether the hash is of this password."""
    try:
        return bcrypt.checkpw(password.encode(), password_hash.encode("ascii"))
    except ValueError:
        return False
