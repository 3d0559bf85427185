"""`munbon gate move|stop|...|history|alarms` from the laptop through central's real API to a real desk of a gate process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from central.cli import exits, gate_acts
from central.cli.main import run
from central.identity.keys import OPERATOR_KEY
from central.model import GateSample, PlanDelivery, PresenceMark
from central.store import events, gates, nodes
from central.store.events import IncomingBatch
from shared.clock import SystemClock
from shared.contracts.command import CommandReply
from shared.contracts.event import Event, EventType, wire_type
from shared.contracts.gate_socket import AlarmView, SiteAction, SiteVerb
from shared.contracts.status import GateSummary, NodeStatus, SiteSummary
from shared.errors import MunbonError, Retryable
from shared.messaging.errors import BusNoResponder
from shared.signing.keys import generate_signer, save_signer
from tests.builders_central import gate_plan
from tests.fakes.central_ports import FakeCourier
from tests.fakes.desk import OPERATOR, DeskBench
from tests.fakes.fake_clock import START
from tests.fixtures_api import RunningApi, running_api


@dataclass
class DeskCourier(FakeCourier):
    """The way from central to the gate process, without bus and agent; `lost` answers do not come back."""

    desk: DeskBench | None = None
    lost: int = 0
    envelopes: list[Mapping[str, Any]] = field(default_factory=list)

    async def run_command(self, node: str, envelope: Mapping[str, Any], *, actor: str, timeout_s: float) -> CommandReply:
        if self.desk is None:
            raise BusNoResponder("nobody listens")
        self.envelopes.append(envelope)
        try:
            view = await self.desk.desk.run_signed(json.dumps(envelope).encode())
        except MunbonError as error:
            return CommandReply(command_id="c", node=node, accepted=False, code=str(getattr(error, "code", "Failed")), reason=str(error))
        if self.lost > 0:
            self.lost -= 1
            raise Retryable("no answer within 15 s")
        return CommandReply(command_id="c", node=node, accepted=view.accepted, code=view.code, reason=view.reason, data=view.to_json())


@dataclass
class Laptop:
    api: RunningApi
    desk: DeskBench
    courier: DeskCourier
    capsys: pytest.CaptureFixture[str]
    key: str
    revision: int = 0

    async def munbon(self, *words: str, code: int = 0) -> str:
        found = await asyncio.to_thread(run, ["gate", *words])
        captured = self.capsys.readouterr()
        assert found == code, captured
        # central runs in this process too, and logs to the same place
        lines = (captured.out + captured.err).splitlines(keepends=True)
        return "".join(line for line in lines if "module=" not in line)


@pytest.fixture
async def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Laptop]:
    for folder in ("central", "gate"):
        (tmp_path / folder).mkdir()
    desk = DeskBench(tmp_path / "gate")
    desk.clock.jump_wall((SystemClock().wall() - START).total_seconds())
    async with running_api(tmp_path / "central") as api:
        courier = DeskCourier(desk=desk)
        object.__setattr__(api.dependencies, "courier", courier)
        await desk.start()
        (tmp_path / "gate" / "gate-trust-root.json").write_text(json.dumps(api.identity.trust_root.to_json()))
        key = tmp_path / "central" / OPERATOR_KEY
        monkeypatch.setenv("MUNBON_CONFIG", str(tmp_path / "config.toml"))
        monkeypatch.setenv("MUNBON_URL", api.url)
        monkeypatch.setenv("MUNBON_TOKEN", api.identity.operator_token)
        monkeypatch.setenv("MUNBON_KEY", str(key))
        (await api.client.post("nodes", json={"node": "pi-1", "labels": {"site": "north"}})).raise_for_status()
        yield Laptop(api, desk, courier, capsys, str(key))
        await desk.stop()


async def test_an_operator_moves_a_gate_and_gives_it_back(laptop: Laptop) -> None:
    assert "gate g1: to 40.0 % within 900 s" in await laptop.munbon("move", "north", "g1", "40", "--for", "15m", "--note", "weeds")
    motion = laptop.desk.modes["g1"].motion
    assert motion is not None
    assert motion.by.startswith(f"{laptop.api.identity.operator_name} (key ")
    assert laptop.desk.acted[-1].note == "weeds"
    assert "in auto" in await laptop.munbon("mode", "north", "g1", "auto")
    view = json.loads(await laptop.munbon("stop", "north", "-o", "json"))
    assert (view["accepted"], len(view["reasons"])) == (True, 2)
    assert "out of service" in await laptop.munbon("service", "north", "g2", "out")


async def test_a_refusal_has_the_gates_reason_and_exit_code_3(laptop: Laptop) -> None:
    await laptop.desk.desk.run_local("r1", SiteAction(gate="g1", verb=SiteVerb.TAG, note="diver in the water"), OPERATOR)
    assert "refused (TaggedOut)" in await laptop.munbon("move", "north", "g1", "40", code=exits.REFUSED)
    problem = await laptop.munbon("mode", "north", "g1", "auto", "-o", "json", code=exits.REFUSED)
    assert "diver in the water" in problem
    assert "not at this site" in await laptop.munbon("move", "north", "g9", "40", code=exits.REFUSED)
    assert "not tripped" in await laptop.munbon("reset-trip", "north", "g2", code=exits.REFUSED)
    assert "nothing to acknowledge" in (await laptop.munbon("ack", "north", "g1/stuck", code=exits.REFUSED))


async def test_a_key_that_the_gate_does_not_know_moves_nothing(laptop: Laptop, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    save_signer(generate_signer(name="other"), other)
    central = tmp_path / "central-own.key"
    save_signer(laptop.api.identity.central, central)
    for key in (other, central):
        assert "SignatureInvalid" in await laptop.munbon("move", "north", "g1", "40", "--key", str(key), "-o", "json", code=exits.REFUSED)
    assert (laptop.courier.envelopes, laptop.desk.acted) == ([], [])


async def test_a_lost_answer_is_asked_for_once_more_and_the_gate_acts_once(laptop: Laptop) -> None:
    laptop.courier.lost = 1
    text = await laptop.munbon("move", "north", "g1", "40")
    assert "had been carried out before" in text
    assert (len(laptop.courier.envelopes), len(laptop.desk.acted)) == (2, 1)
    assert laptop.courier.envelopes[0] == laptop.courier.envelopes[1]
    laptop.courier.lost = 2
    assert "may have been carried out" in await laptop.munbon("stop", "north", "g1", code=exits.UNREACHABLE)


async def test_an_offline_node_is_told_and_nothing_is_kept(laptop: Laptop) -> None:
    laptop.courier.desk = None
    assert "pi-1 is offline" in await laptop.munbon("stop", "north", "g1", code=exits.UNREACHABLE)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("move", "north", "g1", "140"), "less than or equal to 100"),
        (("move", "north", "g1", "40", "--for", "soon"), "no length of time"),
        (("move", "north", "g1", "40", "--for", "9d"), "expires_after_s"),
        (("move", "north", "G 1", "40"), "gate"),
        (("mode", "north", "g1", "LOCAL"), "mode"),
        (("service", "north", "g1", "away"), "service"),
        (("shelve", "north", "g1/stuck", "--for", "8d"), "for_s"),
        (("history", "north", "g1", "--since", "yesterday"), "no length of time"),
        (("history", "north", "g1", "--since", "99999999999d"), "longer than 3660 days"),
    ],
)
async def test_wrong_words_are_named_and_nothing_is_sent(laptop: Laptop, words: tuple[str, ...], said: str) -> None:
    assert said in await laptop.munbon(*words, code=exits.USAGE)
    assert laptop.courier.envelopes == []


async def test_history_draws_samples_and_tells_what_happened(laptop: Laptop) -> None:
    now = SystemClock().wall()
    await report(laptop)
    samples = [
        GateSample("pi-1", "north", "g1", now - timedelta(minutes=180 - minute), 2.0 + minute / 1_000, 40.0, None, "good")
        for minute in range(180)
    ]
    await laptop.api.database.run(lambda tx: gates.add_samples(tx, samples))
    happened = now - timedelta(minutes=30)
    data = {"site": "north", "gate": "g1", "verb": "move", "by": "som\x1b[2J", "reason": "", "note": "weeds", "at": happened.isoformat()}
    event = Event(
        id="event-id-00000001", source="pi-1", type=wire_type(EventType.GATE_COMMAND_ACCEPTED), subject="g1", time=now,
        outboxid="outbox-1", sequence=1, monotonictime=1.0, bootid="b", data=data,
    )  # fmt: skip
    await laptop.api.database.run(
        lambda tx: events.store_batch(tx, IncomingBatch(events=[("pi-1", event)], statuses=[], quarantine=[]), now)
    )
    text = await laptop.munbon("history", "north", "g1", "--since", "4h")
    assert "g1 level  2.179 m now, 2.000 to 2.179" in text
    assert "flow" not in text
    assert "CommandAccepted" in text
    assert "by som [2J, note: weeds" in text
    assert f"{happened.astimezone():%d %b %H:%M:%S}  CommandAccepted" in text, "by the time at the gate, not by that of its report"
    assert all(len(line) <= 80 for line in text.splitlines())
    found = json.loads(await laptop.munbon("history", "north", "g1", "--since", "1h", "-o", "json"))
    assert len(found["samples"]) in (59, 60)
    assert len(found["events"]) == 1
    assert json.loads(await laptop.munbon("history", "north", "g1", "--since", "20m", "-o", "json"))["events"] == []


async def test_show_says_what_keeps_a_gate_from_its_controller(laptop: Laptop) -> None:
    gate = GateSummary(level_m=2.1, control="manual", owner="console", tagout="som since 08:00 (diver)", trip="stuck", in_service=False)
    await report(laptop, gate=gate)
    text = await laptop.munbon("show", "north")
    said = "g1: tagged out by som since 08:00 (diver); tripped: stuck; out of service; in manual; the console of the site has its command"
    assert said in text


async def test_a_gate_whose_process_does_not_answer_is_not_shown_as_good(laptop: Laptop) -> None:
    await report(laptop, gate=GateSummary(level_m=2.1, quality="good"), reachable=False)
    text = await laptop.munbon("list")
    assert "no answer" in text
    assert "good" not in text


async def test_the_plan_in_force_is_shown_beside_the_one_that_was_refused(laptop: Laptop) -> None:
    good = replace(gate_plan(generation=3, node="pi-1"), delivery=PlanDelivery.ACCEPTED)
    bad = replace(gate_plan(generation=4, node="pi-1"), delivery=PlanDelivery.REFUSED, code="PlanRefused", reason="level_m 99 lies outside")
    for record in (good, bad):
        await laptop.api.database.run(partial(gates.add_plan, record=record))

    async def told(**said: Any) -> list[str]:
        await report(laptop, **said)
        lines = (await laptop.munbon("plan", "show", "north")).splitlines()
        return [line for line in lines if line.startswith(("In force", "Newest"))]

    newest = "Newest:   plan 4, refused - PlanRefused: level_m 99 lies outside; set by ana"
    assert await told(plan_generation=3) == ["In force: plan 3, set by ana (as node pi-1 said 0s ago)", newest]
    assert (await told(plan_generation=3, local_plan=True))[0].startswith("In force: a plan made at the site; plan 3 stands by")
    assert (await told(plan_generation=0))[0].startswith("In force: no plan")
    assert "whose gate process does not answer" in (await told(plan_generation=3, reachable=False))[0]
    shown = json.loads(await laptop.munbon("plan", "show", "north", "-o", "json"))
    assert (shown["generation"], shown["delivery"], shown["in_force"]["generation"]) == (4, "refused", 3)
    assert shown["in_force"]["plan"]["generation"] == 3
    assert (await told(plan_generation=4)) == ["In force: plan 4, set by ana (as node pi-1 said 0s ago)"]


async def test_alarms_of_all_sites_are_a_table(laptop: Laptop) -> None:
    assert "no alarms" in await laptop.munbon("alarms")
    await report(laptop, AlarmView(key="g1/stuck", gate="g1", name="stuck", state="unacknowledged", priority="high", reason="no travel"))
    assert "g1/stuck" in await laptop.munbon("alarms")
    [alarm] = json.loads(await laptop.munbon("alarms", "north", "-o", "json"))
    assert (alarm["site"], alarm["reason"]) == ("north", "no travel")
    assert "munbon node label" in await laptop.munbon("alarms", "south", code=exits.NOT_FOUND)


def test_lengths_of_time() -> None:
    assert [gate_acts.seconds_of(text, "--for") for text in ("90", "15m", "2h", "1.5d")] == [90.0, 900.0, 7_200.0, 129_600.0]


async def report(laptop: Laptop, *alarms: AlarmView, gate: GateSummary | None = None, reachable: bool = True, **said: Any) -> None:
    """The node's word on its site."""
    now = SystemClock().wall()
    site = SiteSummary(site="north", reachable=reachable, gates={"g1": gate or GateSummary(level_m=2.1)}, alarms=alarms, **said)
    laptop.revision += 1
    status = NodeStatus(node="pi-1", outboxid="outbox-1", revision=laptop.revision, at=now, boot_id="b", agent_version="0", site=site)
    await laptop.api.database.run(lambda tx: events.store_batch(tx, IncomingBatch(events=[], statuses=[status], quarantine=[]), now))
    await laptop.api.database.run(lambda tx: nodes.save_presence(tx, [PresenceMark("pi-1", now)]))
