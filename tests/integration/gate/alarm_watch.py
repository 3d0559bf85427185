"""What people saw of alarms at a site whose process is killed again and again, against what its journal and its table say."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Protocol

from shared.clock import SystemClock
from shared.contracts.gate_socket import GateReply

OUT_OF_RANGE, STALE, STOPPED, LOCAL_PLAN = (
    "sensor_out_of_range.g1-level", "sensor_stale.g1-level", "stopped", "local_plan_invalid",
)  # fmt: skip
"""Of a sensor at once, of a sensor after a while, of a person, of a file."""
NAMES = (OUT_OF_RANGE, STALE, STOPPED, LOCAL_PLAN)
LASTING = (OUT_OF_RANGE, STOPPED)
"""Their cause is there in the first scan of a new process: they do not go and come again with it."""
CAME_OR_WENT = ("alarm_raised", "alarm_returned")
ON = ("unacknowledged", "acknowledged")
WRITTEN_WITHIN_S = 0.2
"""From the scan that shows an alarm to the disk."""
KEPT_WITHIN_S = 1.0
"""From an alarm, or the answer to an acknowledgement, to the state on the disk."""
SEEN_WITHIN_S = 5.0


class Site(Protocol):
    """Where the alarms are looked at."""

    async def ask(self, operation: str, **params: Any) -> GateReply: ...

    async def alarm_table(self) -> Mapping[str, Mapping[str, Any]]: ...


@dataclass(frozen=True)
class Trouble:
    """A cause of an alarm that can be begun and ended."""

    alarm: str
    begin: Callable[[], Awaitable[bool]]
    """Whether it is certainly there now."""
    end: Callable[[], Awaitable[bool]]
    """Whether it is certainly gone now."""


@dataclass(frozen=True)
class Seen:
    """An alarm at one moment."""

    at: datetime
    alarm: str
    is_on: bool


@dataclass
class AlarmWatch:
    """Begins and ends troubles, looks at the table, acknowledges, and remembers all of it."""

    site: Site
    random: random.Random
    troubles: Sequence[Trouble] = ()
    seen: list[Seen] = field(default_factory=list)
    lasting: dict[str, bool] = field(default_factory=dict)
    """Troubles that are certainly there (true) or certainly not; others are not known."""
    acknowledged_s: dict[str, float] = field(default_factory=dict)
    """When the acknowledgement of an alarm that stands since was answered."""
    acknowledgements: int = 0

    async def disturb(self) -> None:
        """Begin or end one trouble, until people see its alarm come or go."""
        trouble = self.random.choice(self.troubles)
        was_there = self.lasting.pop(trouble.alarm, False)
        if was_there:
            self.acknowledged_s.pop(trouble.alarm, None)
        if not await (trouble.end() if was_there else trouble.begin()):
            return
        self.lasting[trouble.alarm] = not was_there
        until_s = time.monotonic() + SEEN_WITHIN_S
        while time.monotonic() < until_s:
            if await self.is_on(trouble.alarm) is not was_there:
                self.seen.append(Seen(SystemClock().wall(), trouble.alarm, not was_there))
                return
        # one that chatters is held on; one that does not come is a lost alarm
        assert was_there, f"{trouble.alarm} did not come within {SEEN_WITHIN_S:g} s"

    async def acknowledge(self) -> None:
        """By name, one that stands."""
        name = self.random.choice(NAMES)
        if not await self.is_on(name):
            return
        if (await self.site.ask("act", gate="" if name == LOCAL_PLAN else "g1", verb="ack", params={"alarm": name})).ok:
            self.acknowledgements += 1
            if self.lasting.get(name):
                self.acknowledged_s[name] = time.monotonic()

    async def end_all(self) -> None:
        """No more trouble."""
        for trouble in self.troubles:
            await trouble.end()
            self.lasting[trouble.alarm] = False
        self.acknowledged_s = {}

    async def is_on(self, name: str) -> bool:
        return (await self.site.alarm_table()).get(name, {}).get("state") in ON

    def forget_stop(self) -> None:
        """A person gives the gate back by other words too."""
        self.lasting.pop(STOPPED, None)
        self.acknowledged_s.pop(STOPPED, None)

    async def check_after_restart(self, killed_s: float) -> None:
        """What stood before stands again, and who said that he saw it is not asked again."""
        table = await self.site.alarm_table()
        for name in LASTING:
            if self.lasting.get(name):
                assert table.get(name, {}).get("state") in ON, (name, table.get(name))
            acknowledged_s = self.acknowledged_s.get(name)
            if acknowledged_s is not None and killed_s - acknowledged_s > KEPT_WITHIN_S:
                assert table[name]["state"] == "acknowledged", (name, table[name])

    async def check(self, records: Sequence[Mapping[str, Any]], deaths_at: Sequence[datetime]) -> None:
        """What people saw is in the journal, in its order; what the table shows at the end is the last word of the journal."""
        table = await self.site.alarm_table()
        for name in NAMES:
            said = [
                record for record in records if record["kind"] in ("alarm_raised", "alarm_returned") and record["data"]["alarm"] == name
            ]
            self._check_seen(name, said, deaths_at)
            starts = [record["cursor"] for record in records if record["kind"] == "started"]
            for before, after in pairwise(said):
                is_new_life = any(before["cursor"] < cursor < after["cursor"] for cursor in starts)
                assert before["kind"] != after["kind"] or is_new_life, f"{name}: {before} and then {after}"
            stands = table.get(name, {}).get("state") in ON
            is_cut = _is_raised(said) and _is_cut(datetime.fromisoformat(said[-1]["at"]), deaths_at, KEPT_WITHIN_S)
            assert _is_raised(said) == stands or is_cut, (name, said[-1:])

    def _check_seen(self, name: str, said: Sequence[Mapping[str, Any]], deaths_at: Sequence[datetime]) -> None:
        for one in (one for one in self.seen if one.alarm == name):
            before = [record for record in said if datetime.fromisoformat(record["at"]) <= one.at]
            after = [record for record in said if datetime.fromisoformat(record["at"]) > one.at]
            if _is_raised(before) == one.is_on:
                continue
            if not one.is_on:
                # the state of a moment before the death did not know of it: it was told, and stays told
                assert _is_cut(datetime.fromisoformat(before[-1]["at"]), deaths_at, KEPT_WITHIN_S), f"{one} is not in the journal: {said}"
                continue
            # killed before the disk had it: then the next process says it
            assert _is_cut(one.at, deaths_at, WRITTEN_WITHIN_S), f"{one} is not in the journal: {said}"
            assert _is_raised(after[:1]), f"{one} was lost in the death after it: {said}"


def _is_raised(said: Sequence[Mapping[str, Any]]) -> bool:
    return bool(said) and said[-1]["kind"] == "alarm_raised"


def _is_cut(at: datetime, deaths_at: Sequence[datetime], within_s: float) -> bool:
    """Whether the process died so soon after."""
    return any(timedelta(0) <= died_at - at < timedelta(seconds=within_s) for died_at in deaths_at)
