"""Work side by side, within bounds."""

import asyncio

import pytest

from edge_agent.observe.reading import PARALLEL, in_parallel, raise_first


async def test_results_keep_their_order_and_an_error_hinders_no_other() -> None:
    async def work(number: int) -> int:
        await asyncio.sleep(0)
        if number == 1:
            raise ValueError("one")
        return number * 10

    results = await in_parallel(work, range(4))
    assert [results[0], results[2], results[3]] == [0, 20, 30]
    with pytest.raises(ValueError, match="one"):
        raise_first(results)


async def test_no_more_than_the_bound_are_under_way() -> None:
    running = most = 0

    async def work(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    await in_parallel(work, range(50))
    assert most == PARALLEL
