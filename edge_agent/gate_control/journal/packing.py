"""JSON text to few bytes, and back to data."""

from __future__ import annotations

import json
import zlib
from typing import Any

from shared.errors import Permanent

LEVEL = 6


def pack(text: str) -> bytes:
    """Compressed JSON text; takes milliseconds, so not for the loop's own thread."""
    return zlib.compress(text.encode(), LEVEL)


def unpack(data: bytes) -> dict[str, Any]:
    """The object that `pack` was given as text.

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
