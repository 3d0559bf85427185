"""Links that die in every way: the session notices, and throwing it away never waits for the link."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from deploy.faults.tcp_proxy import TcpProxy
from shared.messaging.errors import BusUnavailable
from shared.messaging.session import BusSession
from tests.fixtures_nats import NatsHandle, running_nats

pytestmark = pytest.mark.nats


@pytest.fixture
async def nats() -> AsyncIterator[NatsHandle]:
    async with running_nats(["n1"]) as handle:
        yield handle


async def open_through(proxy: TcpProxy, nats: NatsHandle, *, ping_s: float = 0.5) -> BusSession:
    settings = nats.node("n1", url=proxy.url).model_copy(update={"ping_interval_s": ping_s, "request_timeout_s": 1.0})
    return await BusSession.open(settings)


async def stuff(session: BusSession) -> None:
    """Send until the sockets take no more, and some remains unsent in this process."""
    for _ in range(400):
        try:
            await session.publish("evt.n1.gate", b"x" * 100_000)
        except BusUnavailable:
            return
    raise AssertionError("the frozen link took everything")


@pytest.mark.parametrize("has_unsent_data", [False, True])
async def test_a_half_open_link_is_noticed_and_abort_returns_at_once(nats: NatsHandle, has_unsent_data: bool) -> None:
    async with nats.central_bus(), TcpProxy.to("127.0.0.1", nats.port) as proxy:
        session = await open_through(proxy, nats)
        proxy.freeze()
        if has_unsent_data:
            await stuff(session)
        with pytest.raises(BusUnavailable):
            await session.publish_event("evt.n1.agent", b"{}", "id")
        async with asyncio.timeout(30):
            await session.wait_lost()
        assert not session.is_healthy
        started = time.monotonic()
        await session.abort()
        assert time.monotonic() - started < 2.0, "the library's own close waits for the kernel to give up"


async def test_abort_of_a_frozen_session_that_noticed_nothing_yet_returns_at_once(nats: NatsHandle) -> None:
    async with nats.central_bus(), TcpProxy.to("127.0.0.1", nats.port) as proxy:
        session = await open_through(proxy, nats, ping_s=60)
        proxy.freeze()
        asking = asyncio.create_task(session.get_desired("n1"))
        await asyncio.sleep(0)
        started = time.monotonic()
        await session.abort()
        assert time.monotonic() - started < 2.0
        with pytest.raises(BusUnavailable):
            await asking
        with pytest.raises(BusUnavailable):
            await session.publish("evt.n1.agent", b"")


async def test_a_request_over_a_frozen_link_ends_in_time_and_so_does_opening_one(nats: NatsHandle) -> None:
    async with nats.central_bus(), TcpProxy.to("127.0.0.1", nats.port) as proxy:
        session = await open_through(proxy, nats, ping_s=60)
        proxy.freeze()
        started = time.monotonic()
        with pytest.raises(BusUnavailable, match="no answer within 1 s"):
            await session.get_desired("n1")
        with pytest.raises(BusUnavailable):
            await session.ping(0.5)
        with pytest.raises(BusUnavailable, match="cannot connect"):
            await BusSession.open(nats.node("n1", url=proxy.url).model_copy(update={"connect_timeout_s": 1.0}))
        assert time.monotonic() - started < 15.0
        await session.abort()


async def test_a_cut_link_ends_the_session_and_a_healed_one_takes_a_new_session(nats: NatsHandle) -> None:
    async with nats.central_bus() as central, TcpProxy.to("127.0.0.1", nats.port) as proxy:
        session = await open_through(proxy, nats)
        await central.put_desired("n1", b"x")
        await proxy.cut()
        async with asyncio.timeout(10):
            await session.wait_lost()
        with pytest.raises(BusUnavailable):
            await session.get_desired("n1")
        with pytest.raises(BusUnavailable):
            await open_through(proxy, nats)
        await session.abort()
        proxy.heal()
        again = await open_through(proxy, nats)
        entry = await again.get_desired("n1")
        assert entry is not None
        assert entry.body == b"x"
        await again.abort()


async def test_many_aborted_sessions_leave_no_task_behind(nats: NatsHandle) -> None:
    before = len(asyncio.all_tasks())
    for _ in range(20):
        session = await BusSession.open(nats.node("n1"))
        await session.abort()
        await session.abort()
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) <= before


async def test_a_cancelled_request_is_cancelled(nats: NatsHandle) -> None:
    async with nats.central_bus(), TcpProxy.to("127.0.0.1", nats.port) as proxy:
        session = await open_through(proxy, nats, ping_s=60)
        proxy.freeze()
        asking = asyncio.create_task(session.get_desired("n1"))
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await session.abort()
