"""One artifact from the bus, chunk by chunk; what came before a cut is not fetched again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from edge_agent.receive.ports import ReceiveSession
from edge_agent.store.blobs import BlobFolder
from shared.contracts.limits import CHUNK_BYTES
from shared.errors import DigestMismatch, Retryable
from shared.signing.digests import check_digest

WINDOW = 4


class NotThere(Retryable):
    """The bus does not have all of it, or something else than it should."""


async def fetch_artifact(session: ReceiveSession, blobs: BlobFolder, digest: str, size_bytes: int, *, window: int = WINDOW) -> bytes:
    """Content of an artifact, its digest checked; chunks stay on disk until it is saved as a blob. A repeat goes on where it was.

    Raises:
        NotThere: a chunk is missing or wrong; wrong ones are dropped.
        BusUnavailable, BusRefused, BusDenied: the bus's word.
        DiskFull, StoreUnavailable: the disk does not take it.
    """
    count = max(1, -(-size_bytes // CHUNK_BYTES))
    name = f"artifact {digest[:12]}"
    gate = asyncio.Semaphore(window)

    async def fetch(index: int) -> None:
        expected = CHUNK_BYTES if index < count - 1 else size_bytes - (count - 1) * CHUNK_BYTES
        known = blobs.chunk(digest, index)
        if known is not None and len(known) == expected:
            return
        async with gate:
            content = await session.get_chunk(digest, index)
        if content is None:
            raise NotThere(f"chunk {index + 1} of {count} is not on the bus", subject=name, delay_s=5.0)
        if len(content) != expected:
            raise NotThere(f"chunk {index + 1} of {count} has {len(content)} bytes, expected {expected}", subject=name, delay_s=30.0)
        blobs.save_chunk(digest, index, content)

    await _all([fetch(index) for index in range(count)])
    content = b"".join(blobs.chunk(digest, index) or b"" for index in range(count))
    try:
        check_digest(content, digest, subject=name)
    except DigestMismatch as error:
        blobs.drop_chunks(digest)
        raise NotThere(f"what is on the bus does not have its digest: {error.message}", subject=name, delay_s=30.0) from error
    return content


async def _all(works: list[Coroutine[Any, Any, None]]) -> None:
    """Run all; the first failure ends the rest and is raised as it is."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
