"""Which code decides: a digest over the sources of everything that a decision is made by."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

_GATE = Path(__file__).resolve().parents[1]
_DECIDING = ("decide", "validate", "model", "replay")


@lru_cache(maxsize=1)
def code_digest() -> str:
    """SHA-256 over names and contents, 64 hexadecimal digits; two installations with the same digest decide the same."""
    digest = hashlib.sha256()
    for folder in _DECIDING:
        for path in sorted((_GATE / folder).rglob("*.py")):
            digest.update(str(path.relative_to(_GATE)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
