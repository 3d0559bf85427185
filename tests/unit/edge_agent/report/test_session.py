"""Sessions come and go; the keeper opens the next one, neither at once nor never."""

import asyncio
from collections.abc import Awaitable, Callable

from edge_agent.report.session import SessionKeeper, SessionLimits
from shared.messaging.errors import BusDenied, BusUnavailable
from tests.fakes.fake_bus import FakeBus, FakeSession
from tests.fakes.fake_clock import FakeClock

User = Callable[[FakeSession], Awaitable[None]]


async def forever(_session: FakeSession) -> None:
    await asyncio.Event().wait()


class Bench:
    def __init__(self, *users: User, unit: float = 0.5) -> None:
        self.clock, self.bus = FakeClock(), FakeBus()
        self.opened_at_s: list[float] = []
        self.denied = False
        self.keeper = SessionKeeper(self._open, users or (forever,), self.clock, lambda: unit, limits=SessionLimits())
        self.task = asyncio.create_task(self.keeper.run())

    async def _open(self) -> FakeSession:
        self.opened_at_s.append(self.clock.monotonic_s())
        if self.denied:
            raise BusDenied("the server refuses user 'pi-north'")
        session = await self.bus.open()
        session.last_round_trip_s = self.clock.monotonic_s()
        return session

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_a_lost_session_is_thrown_away_and_another_one_opened() -> None:
    bench = Bench()
    await bench.clock.advance(40)
    assert bench.keeper.is_connected
    bench.bus.sessions[0].lose("unexpected EOF")

    await bench.clock.advance(1)
    assert (bench.keeper.is_connected, bench.keeper.problem) == (False, "unexpected EOF")
    assert bench.bus.sessions[0].was_aborted
    await bench.clock.advance(10)

    assert bench.keeper.is_connected
    assert len(bench.bus.sessions) == 2
    await bench.stop()


async def test_a_user_that_fails_takes_the_session_with_it() -> None:
    async def failing(session: FakeSession) -> None:
        await asyncio.sleep(0)
        raise BusUnavailable("no answer within 15 s", subject="ds")

    bench = Bench(forever, failing)
    await bench.clock.advance(0.5)

    assert bench.bus.sessions[0].was_aborted
    assert "no answer within 15 s" in bench.keeper.problem
    await bench.stop()


async def test_tries_spread_out_while_nobody_answers() -> None:
    bench = Bench(unit=1.0)
    bench.bus.is_cut = True
    await bench.clock.advance(400)
    waits = [round(after - before) for before, after in zip(bench.opened_at_s, bench.opened_at_s[1:], strict=False)]

    assert waits[:6] == [2, 4, 8, 16, 32, 60]
    assert set(waits[6:]) == {60}
    await bench.stop()


async def test_a_refused_login_is_tried_again_after_minutes_and_never_given_up() -> None:
    bench = Bench(unit=1.0)
    bench.denied = True
    await bench.clock.advance(3_000)
    waits = [round(after - before) for before, after in zip(bench.opened_at_s, bench.opened_at_s[1:], strict=False)]
    assert waits[-1] == 300

    bench.denied = False
    await bench.clock.advance(301)

    assert bench.keeper.is_connected
    await bench.stop()


async def test_a_silent_link_is_asked_and_then_thrown_away() -> None:
    bench = Bench()
    await bench.clock.advance(31)
    assert bench.bus.sessions[0].pings >= 1

    await bench.clock.advance(46)

    assert bench.bus.sessions[0].was_aborted
    assert "no answer for" in bench.keeper.problem
    await bench.stop()


async def test_a_session_that_dies_at_once_again_and_again_is_no_busy_loop() -> None:
    async def dying(session: FakeSession) -> None:
        session.lose("kicked out")

    bench = Bench(dying, unit=1.0)
    await bench.clock.advance(120)

    assert len(bench.opened_at_s) < 10
    await bench.stop()
