"""Whatever is sent, repeated, held up or cut off by kills, in any order: no command is carried out twice, and answers stay the same."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.gate_control.console import desk as desk_module
from shared.contracts.gate_command import CommandView
from shared.errors import MunbonError
from tests.fakes.desk import DeskBench

STEPS = st.one_of(
    st.tuples(st.just("send"), st.integers(0, 3)),
    st.tuples(st.just("hold"), st.just(0)),
    st.tuples(st.just("free"), st.just(0)),
    st.tuples(st.just("kill"), st.integers(0, 40)),
)


class Story:
    """Kills leave the disk as it was, but for the last line, which may be torn unless it was synced before."""

    def __init__(self, folder: Path) -> None:
        self.bench = DeskBench(folder)
        self.envelopes = [self.bench.command(params={"opening_pct": 10.0 * number}) for number in range(4)]
        self.sent: set[asyncio.Task[None]] = set()
        self.answers: dict[str, set[tuple[bool, str, tuple[str, ...]]]] = {}

    async def tell(self, steps: list[tuple[str, int]]) -> None:
        await self.bench.start()
        for step, number in [*steps, ("free", 0)]:
            if step == "send":
                self.sent.add(asyncio.create_task(self.send(number)))
            elif step == "kill":
                await self.kill(torn_bytes=number)
            else:
                self.bench.scans = step == "free"
                self.bench.desk.arrived.set()
            await self.bench.clock.settle()
        await asyncio.gather(*self.sent, return_exceptions=True)
        await self.bench.stop()

    async def send(self, number: int) -> None:
        try:
            view: CommandView = await self.bench.desk.run_signed(self.envelopes[number])
        except MunbonError:
            return
        self.answers.setdefault(view.id, set()).add((view.accepted, view.code, view.reasons))

    async def kill(self, torn_bytes: int) -> None:
        path = self.bench.folder / "commands.jsonl"
        left = path.read_bytes() if path.exists() else b""
        for task in self.sent:
            task.cancel()
        await asyncio.gather(*self.sent, return_exceptions=True)
        self.sent.clear()
        await self.bench.stop()
        path.write_bytes(left + b'{"id":"command-9999999999999999","digest":"'[:torn_bytes])
        await self.bench.start()


@given(steps=st.lists(STEPS, max_size=14))
@settings(max_examples=60, deadline=None)
def test_each_command_is_carried_out_once_at_most(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        story = Story(Path(folder))
        asyncio.run(story.tell(steps))
        carried_out = Counter(instruction.id for instruction in story.bench.acted)
        assert all(count == 1 for count in carried_out.values()), carried_out
        for given_answers in story.answers.values():
            known = {answer for answer in given_answers if answer[1] not in ("Interrupted", "Unavailable")}
            assert len(known) <= 1
        path = Path(folder) / "commands.jsonl"
        noted = path.read_text() if path.exists() else ""
        assert all(f'"{command_id}"' in noted for command_id in story.answers)


def test_the_wait_for_a_scan_is_longer_than_any_scan_and_shorter_than_a_caller_waits() -> None:
    assert 1.0 < desk_module.TAKEN_WITHIN_S < 5.0
