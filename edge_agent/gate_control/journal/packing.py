"""JSON data to few bytes and back."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from shared.errors import Permanent

LEVEL = 6


def pack(content: Mapping[str, Any]) -> bytes:
    """Compressed JSON; takes milliseconds, so not for the loop's own thread."""
    return zlib.compress(json.dumps(content, separators=(",", ":"), allow_nan=False).encode(), LEVEL)


def unpack(data: bytes) -> dict[str, Any]:
    """What `pack` was given.

    Raises:
        Permanent: the bytes are something else.
    """
    try:
        content = json.loads(zlib.decompress(data))
    except (zlib.error, ValueError) as error:
        raise Permanent(f"are damaged: {error}", subject="journalled scans") from error
    if not isinstance(content, dict):
        raise Permanent("are no block", subject="journalled scans")
    return content
