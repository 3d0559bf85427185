"""Blobs by their SHA-256: saved whole and checked, or not at all. Chunks of one on its way wait beside them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path

from edge_agent.store.errors import DiskFull, from_os
from shared.durable_file import write_atomic
from shared.errors import DigestMismatch
from shared.signing.digests import check_digest

RESERVE_BYTES, RESERVE_SHARE = 8 * 1024 * 1024, 0.05
"""Left free for the state file and the rest of the machine: so much, or this share of a small disk."""
_PARTS = ".parts"


class BlobFolder:
    """`blobs/<sha256>`; one writer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts = folder / _PARTS

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            DiskFull, StoreUnavailable: the disk does not take them.
        """
        try:
            self._parts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise from_os(error, str(self._folder)) from error

    def has(self, digest: str, size_bytes: int | None = None) -> bool:
        """Whether it is here, with the size it must have."""
        try:
            found = (self._folder / digest).stat().st_size
        except OSError:
            return False
        return size_bytes is None or found == size_bytes

    def read(self, digest: str) -> bytes:
        """Content, checked again: an SD card forgets. A damaged one is taken away, so that it is fetched anew.

        Raises:
            DigestMismatch: it is damaged, or not here.
        """
        path = self._folder / digest
        try:
            content = path.read_bytes()
            check_digest(content, digest, subject=f"blob {digest[:12]}")
        except FileNotFoundError as error:
            raise DigestMismatch("is not here", subject=f"blob {digest[:12]}", remedy="it is fetched again") from error
        except OSError as error:
            raise DigestMismatch(
                f"cannot be read: {error.strerror}", subject=f"blob {digest[:12]}", remedy="look after the disk"
            ) from error
        except DigestMismatch:
            path.unlink(missing_ok=True)
            raise
        return content

    def save(self, digest: str, content: bytes) -> None:
        """Save a checked blob, on disk when this returns, and drop its chunks.

        Raises:
            DigestMismatch: it is not what its digest says; nothing is kept.
            DiskFull, StoreUnavailable: the disk does not take it; nothing half is left.
        """
        check_digest(content, digest, subject=f"blob {digest[:12]}")
        self._check_room(len(content))
        try:
            write_atomic(self._folder / digest, content, mode=0o600)
        except OSError as error:
            raise from_os(error, str(self._folder)) from error
        self.drop_chunks(digest)

    def chunk(self, digest: str, index: int) -> bytes | None:
        """A chunk that came before."""
        try:
            return (self._parts / digest / str(index)).read_bytes()
        except OSError:
            return None

    def save_chunk(self, digest: str, index: int, content: bytes) -> None:
        """Keep a chunk for the rest to come. Not synced: a lost one is fetched again, and the digest is checked in the end.

        Raises:
            DiskFull, StoreUnavailable: the disk does not take it.
        """
        self._check_room(len(content))
        path = self._parts / digest / str(index)
        temporary = path.with_name(f".{index}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise from_os(error, str(self._folder)) from error

    def drop_chunks(self, digest: str) -> None:
        """Begin anew with a blob."""
        shutil.rmtree(self._parts / digest, ignore_errors=True)

    def verify_all(self) -> tuple[str, ...]:
        """Check every blob; gives the digests of those that were damaged and are gone."""
        gone = []
        for path in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            if path.is_file() and not path.name.startswith("."):
                try:
                    self.read(path.name)
                except DigestMismatch:
                    path.unlink(missing_ok=True)
                    gone.append(path.name)
        return tuple(gone)

    def collect(self, keep: Collection[str], wanted: Collection[str]) -> int:
        """Delete what is neither kept nor on its way; gives how many. A file that cannot be deleted stays for the next time."""
        count = 0
        for path in self._folder.iterdir():
            if path.is_file() and path.name not in keep:
                path.unlink(missing_ok=True)
                count += 1
        for path in self._parts.iterdir():
            if path.name not in wanted and path.name not in keep:
                shutil.rmtree(path, ignore_errors=True)
                count += 1
        return count

    def _check_room(self, size_bytes: int) -> None:
        try:
            usage = shutil.disk_usage(self._folder)
        except OSError as error:
            raise from_os(error, str(self._folder)) from error
        if usage.free < size_bytes + min(RESERVE_BYTES, int(usage.total * RESERVE_SHARE)):
            raise DiskFull(str(self._folder))
