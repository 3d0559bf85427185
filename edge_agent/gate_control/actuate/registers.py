"""What actuating needs of a device."""

from __future__ import annotations

from typing import Protocol


class RegisterAccess(Protocol):
    """Reads and writes registers of one device."""

    async def read(self, table: str, start: int, count: int) -> tuple[int, ...]:
        """Raises `Retryable` when the device did not give them."""
        ...

    async def write(self, start: int, values: tuple[int, ...]) -> None:
        """Once. Raises `Retryable` when the device did not confirm, `ValueError` when they cannot be written.

        An error whose `may_be_done` is true says that the answer alone was lost.
        """
        ...
