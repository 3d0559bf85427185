"""Size limits, in bytes, each named in the error that it causes."""

from __future__ import annotations

MAX_CONTENT_BYTES = 16 * 1024 * 1024
"""Canonical JSON of a release's objects, unpacked."""
MAX_BLOB_BYTES = 8 * 1024 * 1024
"""A release's objects as carried (compressed)."""
MAX_ENVELOPE_BYTES = 512 * 1024
"""A signed document as carried."""
MAX_OBJECTS = 2_000
"""Objects in one release."""
CHUNK_BYTES = 96 * 1024
"""One ART message; small enough not to block pings for long on a 50 kB/s link."""
MAX_CHUNKS = -(-MAX_BLOB_BYTES // CHUNK_BYTES)
MAX_EVENT_BYTES = 128 * 1024
MAX_SETTINGS_BYTES = 64 * 1024
MAX_SOCKET_LINE_BYTES = 1024 * 1024
