"""Waiting for a condition, never for a time."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], bool | Awaitable[bool]], *, within_s: float = 20.0, what: str = "condition") -> None:
    """Look again and again until the condition holds; fails with its name."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                found = condition()
                if found if isinstance(found, bool) else await found:
                    return
                await asyncio.sleep(0.01)
    except TimeoutError as error:
        raise AssertionError(f"{what} did not come within {within_s:g} s") from error
