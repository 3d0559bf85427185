"""`kill -9` of the real process at random moments, on real Modbus TCP, judged by what the devices themselves noted."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gate.alarm_watch import NAMES
from tests.integration.gate.conftest import until
from tests.integration.gate.kills import HAND, ORDER_EVERY_S, SHUT_PCT, TURNOUT, Trial

SEED = 20_260_501
A_DEATH_TAKES_S = 4.5


@pytest.fixture
async def trial(tmp_path: Path, python_path: dict[str, str], request: pytest.FixtureRequest) -> AsyncIterator[Trial]:
    seed = SEED + request.param
    print(f"seed {seed}")
    made = Trial(tmp_path, random.Random(seed), python_path)
    yield made
    if made.process._process is not None and made.process._process.poll() is None:
        made.process._process.kill()
        made.process._process.wait()
    await made.devices.stop()


@pytest.mark.parametrize(
    ("trial", "deaths"),
    [pytest.param(1, 6, marks=pytest.mark.slow), pytest.param(2, 50, marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
    indirect=["trial"],
)
async def test_killed_at_random_moments_nothing_that_was_said_or_ordered_is_lost_or_done_twice(trial: Trial, deaths: int) -> None:
    accounts: list[dict[str, Any]] = []
    opened: list[float] = []
    await trial.begin(deaths * A_DEATH_TAKES_S)
    await until(lambda: trial.canal.actuators[TURNOUT].position_pct <= SHUT_PCT + 1.0, what="the turnout shut at first")
    watching = asyncio.create_task(watch_turnout(trial, opened))
    for _ in range(deaths):
        await trial.die()
        accounts.append(trial.saved_orders())
    await everything_ends_well(trial)
    accounts.append(trial.saved_orders())
    watching.cancel()
    check_devices(trial)
    check_orders(trial, accounts, opened)
    records = await trial.journal()
    check_journal(trial, records, deaths)
    await trial.alarms.check(records, trial.deaths_at)
    if deaths >= 50:
        assert {one.alarm for one in trial.alarms.seen} == set(NAMES), "not every kind of alarm was seen"
        assert any(not one.is_on for one in trial.alarms.seen)
        assert trial.alarms.acknowledgements > 0


async def watch_turnout(trial: Trial, opened: list[float]) -> None:
    """How far the turnout was opened, each time that it was opened."""
    while True:
        position_pct = trial.canal.actuators[TURNOUT].position_pct
        if position_pct > SHUT_PCT + 2.0:
            if not opened or opened[-1] == 0.0:
                opened.append(position_pct)
            opened[-1] = max(opened[-1], position_pct)
        elif position_pct <= SHUT_PCT + 1.0 and opened and opened[-1] != 0.0:
            opened.append(0.0)
        await asyncio.sleep(0.02)


async def everything_ends_well(trial: Trial) -> None:
    """All faults gone, all tags off, all orders over, the gate in auto: it comes to where its plan wants it."""
    await trial.alarms.end_all()
    if trial.tags and trial.tags[-1].until_s is None:
        await trial.tag()
    elif "diver" in (await trial.process.status())["gates"][HAND]["tagout"]:
        code = (await trial.ask("act", gate=HAND, verb="tag_clear")).data["data"]["code"]
        assert (await trial.ask("act", gate=HAND, verb="tag_confirm", code=code)).ok
    assert (await trial.ask("act", gate=HAND, verb="mode", params={"mode": "auto"})).ok
    await trial.set_plan()

    async def rests() -> bool:
        status = await trial.process.status()
        gates = status["gates"]
        target = gates[HAND]["target"]
        there = target.startswith("position") and abs(gates[HAND]["opening_pct"] - float(target.split()[1])) < 0.6
        return there and not gates[HAND]["moving"]

    await until(rests, what="the gate where its plan wants it")
    within_s = len(trial.orders) * ORDER_EVERY_S
    await until(lambda: all(order["ending"] == "time" for order in orders_of(trial)), within_s=within_s, what="orders over")
    await until(lambda: trial.canal.actuators[TURNOUT].position_pct <= SHUT_PCT + 1.0, what="the turnout shut")


def orders_of(trial: Trial) -> list[dict[str, Any]]:
    found = trial.saved_orders()
    return [found.get(order.order_id, {"ending": None}) for order in trial.orders]


def check_devices(trial: Trial) -> None:
    """By the devices' own notes: no write while it was dead, none unseen, none under a tag, each move once."""
    for died_s, began_s in trial.deaths:
        assert not [access for access in trial.devices.accesses if died_s < access.at_s < began_s]
        for gate in (HAND, TURNOUT):
            after = [access for access in trial.devices.accesses if access.at_s >= began_s and access.device == gate]
            seen = next((index for index, access in enumerate(after) if access.is_write), len(after))
            assert seen >= 2, f"gate {gate} was written to after {seen} reads"
    for tagged in trial.tags:
        until_s = tagged.until_s if tagged.until_s is not None else float("inf")
        under = [
            one for one in trial.devices.log if one.gate == HAND and tagged.from_s < one.at_s < until_s and one.opening_pct is not None
        ]
        assert not under, under
    limits = [one.opening_pct for one in trial.devices.log if one.opening_pct is not None]
    assert all(5.0 <= opening_pct <= 95.0 for opening_pct in limits)
    times = Counter(one.opening_pct for one in trial.devices.log if one.gate == HAND)
    for opening_pct, reply in trial.moves.items():
        assert times[opening_pct] <= 1, f"the move to {opening_pct} % was carried out {times[opening_pct]} times"
        if reply is not None and reply.ok and reply.data["reasons"][-1].endswith(f"to {opening_pct:.1f} %"):
            # nothing held it, and it was not there already
            assert times[opening_pct] == 1, (opening_pct, reply)


def check_orders(trial: Trial, accounts: list[dict[str, Any]], opened: list[float]) -> None:
    """Each order once: begun once, ended once, and the turnout opened as often as there were orders."""
    for order in trial.orders:
        begun = [saved[order.order_id]["started_wall_s"] for saved in accounts if order.order_id in saved]
        assert len({wall_s for wall_s in begun if wall_s is not None}) == 1, (order.order_id, begun)
    assert sum(1 for opening_pct in opened if opening_pct > 0.0) == len(trial.orders), opened


def check_journal(trial: Trial, records: list[dict[str, Any]], deaths: int) -> None:
    """Each record once; what it says was commanded the devices were told."""
    assert [record["cursor"] for record in records] == list(range(1, len(records) + 1))
    assert sum(record["kind"] == "started" for record in records) == deaths + 1
    told = Counter((one.gate, one.opening_pct) for one in trial.devices.log)
    said = Counter(
        (record["gate"], record["data"].get("opening_pct"))
        for record in records
        if record["kind"] == "commanded" and not record["data"]["error"]
    )
    assert not said - told
    assert (told - said).total() <= deaths, "more than the last command of each life is missing in the journal"
