"""`munbon-gate` over a real socket: what people type, what the gate answers, and the exit codes."""

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.check.finding import Finding
from edge_agent.gate_control.console import cli_show, operations, server
from edge_agent.gate_control.console.callers import Caller, NotAllowed, check_operation, role_of
from edge_agent.gate_control.console.cli import run_command
from edge_agent.gate_control.console.cli_options import duration_s
from edge_agent.gate_control.console.desk import Desk
from edge_agent.gate_control.console.history import read_history
from edge_agent.gate_control.console.plans import PlanRefused
from edge_agent.gate_control.console.render import alarms_text, answer_text, status_text
from edge_agent.gate_control.decide.modes import Control, Role, describe_tag
from edge_agent.gate_control.model.configuration import SiteConfiguration
from shared.clock import SystemClock
from shared.contracts.codec import decode
from shared.contracts.gate_command import CommandView
from shared.contracts.gate_plan import GatePlan
from shared.contracts.gate_socket import (
    AlarmView,
    GateOperation,
    GateReading,
    GateStatus,
    JournalKind,
    JournalPage,
    JournalRecord,
    PlanView,
)
from tests.fakes.desk import DeskBench
from tests.fakes.fake_clock import START


def never(_site: SiteConfiguration, _folder: Path, _findings: Sequence[Finding]) -> int:
    raise AssertionError("no command here runs the gate")


@dataclass
class ScriptedSite:
    """What the socket speaks for: a real desk, a status of its modes, a journal in memory."""

    bench: DeskBench
    records: list[JournalRecord] = field(default_factory=list)
    local_plan: GatePlan | None = None
    alarms: tuple[AlarmView, ...] = ()

    @property
    def desk(self) -> Desk:
        return self.bench.desk

    def status(self) -> GateStatus:
        gates = {
            name: GateReading(
                level_m=2.1,
                opening_pct=37.5,
                mode="AUTO" if modes.control is Control.AUTO else "MANUAL",
                quality="good",
                owner=modes.owner.value,
                tagout=", ".join(describe_tag(tag) for tag in modes.tags),
                manual_until_s=modes.motion.expires_at_s - self.bench.clock.monotonic_s() if modes.motion else None,
                moving=modes.motion is not None,
            )
            for name, modes in self.bench.modes.items()
        }
        return GateStatus(site="north", scan=7, scanned_at=START, scan_period_s=1.0, gates=gates, alarm_table=self.alarms)

    async def set_plan(self, envelope: bytes) -> PlanView:
        raise PlanRefused("not in this test")

    async def set_local_plan(self, content: bytes, author: str) -> PlanView:
        self.local_plan = decode(content, GatePlan).model_copy(update={"author": author})
        return self.plan_view()

    def plan_view(self) -> PlanView:
        return PlanView(local=self.local_plan.to_json() if self.local_plan is not None else None)

    async def read_journal(self, after: int, limit: int, wait_s: float) -> JournalPage:
        records = tuple(record for record in self.records if record.cursor > after)[:limit]
        return JournalPage(journal_id="j", records=records, first=1 if self.records else 0, last=len(self.records))


@dataclass
class Console:
    socket: Path
    site: ScriptedSite
    capsys: pytest.CaptureFixture[str]

    async def run(self, *words: str, code: int = 0) -> str:
        """Output of one command, errors included; it must end with `code`."""
        found = await asyncio.to_thread(run_command, [*words, "--socket", str(self.socket)], never)
        captured = self.capsys.readouterr()
        assert found == code, captured
        return captured.out + captured.err


@pytest.fixture
async def console(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Console]:
    monkeypatch.delenv("COLUMNS", raising=False)  # read as by a program, also where the tests themselves run in a terminal
    bench = DeskBench(tmp_path)
    await bench.start()
    site = ScriptedSite(bench)
    listening = server.ConsoleServer(tmp_path / "gate.sock", site, roles={})
    await listening.start()
    yield Console(tmp_path / "gate.sock", site, capsys)
    await listening.stop()
    await bench.stop()


async def test_a_person_moves_a_gate_and_gives_it_back_to_its_controller(console: Console) -> None:
    assert "to 55.0 % within 900 s" in await console.run("move", "g1", "55", "--for", "15m", "--note", "weeds")
    motion = console.site.bench.modes["g1"].motion
    assert motion is not None
    assert (motion.opening_pct, console.site.bench.acted[-1].note) == (55.0, "weeds")
    status = await console.run("status")
    assert "MANUAL" in status
    assert "motion by hand for 900 s more at most" in status
    assert "in auto" in await console.run("mode", "g1", "auto")
    assert json.loads(await console.run("status", "-o", "json"))["gates"]["g1"]["owner"] == "console"
    assert "released" in await console.run("owner", "g1", "release")


async def test_stop_service_and_trip(console: Console) -> None:
    stopped = json.loads(await console.run("stop", "-o", "json"))
    assert (stopped["accepted"], len(stopped["reasons"])) == (True, 2)
    assert "out of service" in await console.run("service", "g1", "out")
    assert "OutOfService" in await console.run("move", "g1", "10", code=3)
    assert "in service" in await console.run("service", "g1", "in")
    assert "not tripped" in await console.run("reset-trip", "g1", code=3)


async def test_a_tag_comes_off_in_two_steps(console: Console) -> None:
    await console.run("tagout", "set", "g1", "--note", "diver in the water")
    assert "diver in the water" in await console.run("status")
    assert "TaggedOut" in await console.run("move", "g1", "10", code=3)
    first = await console.run("tagout", "clear", "g1")
    assert "munbon-gate tagout confirm g1 271828" in first
    assert "WrongCode" in await console.run("tagout", "confirm", "g1", "111111", code=3)
    assert "NoFirstStep" in await console.run("tagout", "confirm", "g1", "271828", code=3)
    await console.run("tagout", "clear", "g1")
    assert "is off" in await console.run("tagout", "confirm", "g1", "271828")
    assert console.site.bench.modes["g1"].tags == ()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["move", "g1", "140"], "opening_pct"),
        (["move", "g1", "nan"], "opening_pct"),
        (["move", "g 1", "40"], "gate"),
        (["shelve", "Level High"], "alarm"),
        (["shelve", "g1/stuck", "--for", "30d"], "for_s"),
        (["plan", "set"], "give objectives"),
        (["plan", "set", "g1=open"], "no GATE=OBJECTIVE:VALUE"),
        (["plan", "set", "g1=position:140"], "opening_pct"),
        (["plan", "set", "-f", "/nowhere/plan.json"], "cannot be read"),
        (["history", "g9"], "it has g1, g2"),
        (["status", "--watch", "-o", "json"], "--watch is for people"),
    ],
)
async def test_wrong_input_is_named_and_asks_nothing_of_the_gate(console: Console, words: list[str], said: str) -> None:
    assert said in await console.run(*words, code=2)
    assert console.site.bench.acted == []
    assert console.site.local_plan is None


async def test_what_is_no_command_at_all_is_argparse_word(console: Console) -> None:
    for words in (["mode", "g1", "open"], ["move", "g1", "40", "--for", "soon"], ["dance"]):
        with pytest.raises(SystemExit) as caught:
            await console.run(*words)
        assert caught.value.code == 2


async def test_a_gate_that_is_not_here_is_refused_by_the_gate(console: Console) -> None:
    assert "gate g9 is not at this site; it has g1, g2" in await console.run("stop", "g9", code=3)


async def test_a_plan_is_made_here_shown_and_released(console: Console) -> None:
    assert await console.run("plan", "show") == "no plan\n"
    text = await console.run("plan", "set", "g1=upstream_level:2.1", "g2=position:40")
    assert "local plan  by root" in text
    assert "upstream_level level_m 2.1" in text
    assert console.site.local_plan is not None
    console.site.bench.local_plan = True
    assert "plan 3 of central is in force" in await console.run("plan", "release")
    assert console.site.bench.local_plan is False


async def test_a_plan_is_read_from_yaml_or_json(console: Console, tmp_path: Path) -> None:
    yaml, json_file, bad = tmp_path / "plan.yaml", tmp_path / "plan.json", tmp_path / "bad.yaml"
    yaml.write_text("valid_from: 2026-05-01T06:00:00Z\ngates:\n  g1:\n    objective: {kind: position, opening_pct: 35.5}\n")
    json_file.write_text('{"gates": {"g1": {"objective": {"kind": "flow", "flow_m3s": 1.5}}}}')
    bad.write_text("gates: [\n")
    assert "position opening_pct 35.5" in await console.run("plan", "set", "-f", str(yaml))
    assert "flow flow_m3s 1.5" in await console.run("plan", "set", "-f", str(json_file))
    assert "not valid YAML" in await console.run("plan", "set", "-f", str(bad), code=2)


async def test_viewers_leave_room_for_those_who_may_act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = DeskBench(tmp_path)
    await bench.start()
    uids = iter([1002] * (server.MAX_VIEWERS + 1) + [1001])
    monkeypatch.setattr(server, "_peer_uid", lambda _writer: next(uids))
    listening = server.ConsoleServer(tmp_path / "gate.sock", ScriptedSite(bench), roles={1001: "operator", 1002: "viewer"})
    await listening.start()
    request = b'{"kind": "GateRequest", "schema_version": "1.0", "id": "r", "operation": "status"}\n'
    answers, writers = [], []
    for _ in range(server.MAX_VIEWERS + 2):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "gate.sock"), limit=2**20)
        writer.write(request)
        answers.append(json.loads(await reader.readline())["code"])
        writers.append(writer)
    for writer in writers:
        writer.close()
    await listening.stop()
    await bench.stop()
    assert answers == [""] * server.MAX_VIEWERS + ["Busy", ""]


async def test_alarms_are_a_table_with_the_first_of_a_burst_marked(console: Console) -> None:
    assert await console.run("alarms") == "no alarms\n"
    console.site.alarms = (
        AlarmView(
            key="g1/level_high", name="level_high", state="unacknowledged", priority="high", reason="2.91 m", raised_at=START, is_first=True
        ),
        AlarmView(key="site/door_open", name="door_open", state="shelved", priority="low", shelved_until=START + timedelta(hours=1)),
    )
    lines = (await console.run("alarms")).splitlines()
    assert lines[0].split() == ["PRIORITY", "STATE", "ALARM", "SINCE", "BY", "REASON"]
    assert "g1/level_high (first)" in lines[1]
    assert "2.91 m" in lines[1]
    assert "shelved until" in lines[2]


async def test_history_draws_what_the_journal_holds_within_80_columns(console: Console) -> None:
    start = SystemClock().wall() - timedelta(hours=2)
    for minute in range(120):
        data = {"level_m": 2.0 + minute / 1_000, "opening_pct": 40.0, "flow_m3s": None, "quality": "good"}
        console.site.records.append(make_record(minute + 1, start + timedelta(minutes=minute), JournalKind.SAMPLES, data))
    told = {"verb": "move", "by": "som", "reason": ""}
    console.site.records.append(make_record(121, start + timedelta(minutes=119, seconds=30), JournalKind.COMMAND_ACCEPTED, told))
    text = await console.run("history", "g1", "--since", "3h")
    assert "g1 level  2.119 m now, 2.000 to 2.119" in text
    assert "flow" not in text
    assert "command accepted" in text
    assert "by som" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    found = json.loads(await console.run("history", "g1", "--since", "30m", "-o", "json"))
    assert 28 <= len(found["samples"]) <= 30


def make_record(cursor: int, at: object, kind: JournalKind, data: Mapping[str, object], gate: str = "g1") -> JournalRecord:
    content = {"cursor": cursor, "at": at, "monotonic_s": float(cursor), "boot_id": "b", "kind": kind, "gate": gate, "data": data}
    return JournalRecord.model_validate(content)


def test_a_long_journal_is_not_read_from_its_beginning() -> None:
    records = [make_record(n, START + timedelta(seconds=10 * n), JournalKind.SAMPLES, {"level_m": float(n)}) for n in range(1, 30_001)]
    asked: list[int] = []

    def read_page(after: int, limit: int) -> dict[str, object]:
        asked.append(limit)
        page = JournalPage(journal_id="j", records=tuple(records[after : after + limit]), first=1, last=len(records))
        return page.to_json()

    found = read_history(read_page, "g1", 3_600.0, START + timedelta(seconds=300_000))
    assert [sample.level_m for sample in found.samples] == [float(n) for n in range(29_640, 30_001)]
    assert sum(asked) < 4_000


async def test_watching_shows_the_table_again_and_again_until_interrupted(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = iter(range(3))

    def pause(_delay_s: float) -> None:
        if next(turns) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(cli_show, "pause", pause)
    text = await console.run("status", "--watch", code=130)
    assert text.count("site north  scan 7") == 3


async def test_no_gate_process_is_told_with_its_own_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["move", "g1", "4", "--socket", str(tmp_path / "none.sock")], never) == 5
    assert "is munbon-gate running?" in capsys.readouterr().err


async def test_a_lost_answer_is_asked_for_again_and_acts_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = DeskBench(tmp_path)
    await bench.start()
    site, calls = ScriptedSite(bench), 0
    real = operations.Operations(site)

    async def forgetful(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        reply = await real.answer(await reader.readline(), Caller(0, "root", Role.MAINTAINER))
        if calls > 1:
            writer.write(reply.model_dump_json().encode() + b"\n")
        writer.close()

    listening = await asyncio.start_unix_server(forgetful, str(tmp_path / "gate.sock"))
    code = await asyncio.to_thread(run_command, ["move", "g1", "40", "--socket", str(tmp_path / "gate.sock")], never)
    listening.close()
    await listening.wait_closed()
    await bench.stop()
    assert (code, calls, len(bench.acted)) == (0, 2, 1)
    assert "had been carried out before" in capsys.readouterr().err


def test_roles_come_from_the_kernel_and_the_configuration() -> None:
    roles = {1000: "operator", 1001: "viewer"}
    assert role_of(0, 500, roles) is role_of(500, 500, roles) is Role.MAINTAINER
    assert (role_of(1000, 500, roles), role_of(1001, 500, roles), role_of(1002, 500, roles)) == (Role.OPERATOR, Role.VIEWER, None)
    for operation in GateOperation:
        check_operation(Caller(0, "root", Role.MAINTAINER), operation)
    with pytest.raises(NotAllowed, match="act takes role operator, kiet is viewer"):
        check_operation(Caller(1001, "kiet", Role.VIEWER), GateOperation.ACT)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to call as other users")
async def test_users_of_the_machine_have_their_role(tmp_path: Path) -> None:
    bench = DeskBench(tmp_path)
    await bench.start()
    for parent in (tmp_path, *list(tmp_path.parents)[:3]):
        parent.chmod(0o755)
    listening = server.ConsoleServer(tmp_path / "gate.sock", ScriptedSite(bench), roles={65533: "viewer", 65534: "operator"})
    await listening.start()
    code = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
        "s.sendall(sys.argv[2].encode()+b'\\n'); print(s.makefile().readline())"
    )
    request = {"kind": "GateRequest", "schema_version": "1.0", "id": "r", "operation": "act", "params": {"gate": "g1", "verb": "stop"}}
    answers = []
    for uid in (65533, 65534):
        process = await asyncio.create_subprocess_exec(
            "python3", "-c", code, str(tmp_path / "gate.sock"), json.dumps(request),
            user=uid, cwd="/", stdout=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
        answers.append(json.loads((await process.communicate())[0]))
    await listening.stop()
    await bench.stop()
    assert [(answer["ok"], answer["code"]) for answer in answers] == [(False, "NotAllowed"), (True, "")]


def test_lengths_of_time_are_written_as_people_write_them() -> None:
    assert [duration_s(text) for text in ("90", "90s", "1.5m", "6h", "2d")] == [90.0, 90.0, 90.0, 21_600.0, 172_800.0]


def test_what_stands_in_the_way_of_a_gate_is_said_once() -> None:
    tagged = GateReading(mode="TAGGED_OUT", tagout="som since 08:00 (diver)", reasons=("tagged out by som since 08:00 (diver)", "stuck"))
    text = status_text(GateStatus(site="north", scan=1, scanned_at=START, scan_period_s=1.0, gates={"g1": tagged}))
    assert [line.strip() for line in text.splitlines()[4:]] == ["tagged out by som since 08:00 (diver)", "stuck"]


LONG = GateReading(
    level_m=2.054, opening_pct=34.0, flow_m3s=2.98, target="upstream_level 2.050 m", mode="OUT_OF_SERVICE", quality="degraded", moving=True,
    owner="console", alarms=("sensor_degraded", "stuck", "site: clock_not_set"), in_service=False,
    reasons=("held because the actuator said something that is a good deal longer than a terminal is wide: 127.0.0.1:15020 unit 2",),
)  # fmt: skip


def test_the_table_fits_the_terminal_and_says_below_what_has_no_room_in_it() -> None:
    status = GateStatus(site="north", scan=1, scanned_at=START, scan_period_s=1.0, gates={"g1": LONG, "g2": GateReading(owner="central")})
    wide, narrow = status_text(status), status_text(status, 80)
    assert "upstream_level 2.050 m  degraded" in wide
    for width in (40, 60, 80, 100, 130):
        assert max(len(line) for line in status_text(status, width).splitlines()) <= max(width, 62), width
    for said in ("target: upstream_level 2.050 m", "alarms: sensor_degraded, stuck, site: clock_not_set"):
        assert f"    {said}" in narrow.splitlines()
    assert "15020 unit 2" in narrow


def test_alarms_with_long_reasons_fit_the_terminal(console_alarm: AlarmView) -> None:
    text = alarms_text(GateStatus(site="north", scan=1, scanned_at=START, scan_period_s=1.0, alarm_table=(console_alarm,)), 80)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "    reason: the gate did not move" in text


@pytest.fixture
def console_alarm() -> AlarmView:
    reason = "the gate did not move on a command, nor on its second, within the time that its stroke and the settling take"
    return AlarmView(key="g1/stuck", gate="g1", name="stuck", state="unacknowledged", priority="high", reason=reason, raised_at=START)


@given(st.text(max_size=40))
def test_no_text_of_others_steers_the_terminal(text: str) -> None:
    alarm = AlarmView(key="g1/stuck", name="stuck", state=text, reason=text)
    gates = {"g1": GateReading(mode=text, target=text, owner=text, tagout=text, trip=text, reasons=(text,), alarms=(text,))}
    status = GateStatus(site=text, scan=1, scanned_at=START, scan_period_s=1.0, gates=gates, hold_reasons=(text,), alarm_table=(alarm,))
    answer = answer_text(CommandView(id="i", gate=text, verb=text, accepted=True, reasons=(text,)))
    for shown in (status_text(status), status_text(status, 80), alarms_text(status, 80), answer):
        assert all(character.isprintable() or character == "\n" for character in shown)


def test_whose_plan_is_in_force_stands_in_the_head() -> None:
    def head(**more: Any) -> str:
        status = GateStatus(site="north", scan=1, scanned_at=START, scan_period_s=1.0, **more)
        return status_text(status).splitlines()[0]

    assert head().endswith("plan -")
    assert head(plan_generation=4).endswith("plan 4")
    assert head(plan_generation=4, local_plan=True).endswith("plan made here (plan 4 of central stands by)")
    assert head(local_plan=True).endswith("plan made here")


async def test_a_figure_that_is_none_is_told_in_one_plain_line(console: Console) -> None:
    for wrong, said in (("nan", "finite number"), ("140", "less than or equal to 100")):
        shown = await console.run("move", "g1", wrong, code=2)
        assert shown.startswith("munbon-gate: params of move: opening_pct: ")
        assert said in shown
        assert len(shown.splitlines()) == 1


async def test_an_answer_that_is_none_and_a_fault_of_ours_show_no_traceback(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def nonsense(*_: Any, **__: Any) -> dict[str, Any]:
        return {"site": 7}

    def fault(*_: Any, **__: Any) -> dict[str, Any]:
        raise OverflowError("date value out of range")

    monkeypatch.setattr(cli_show, "ask", nonsense)
    assert "use the munbon-gate of the version that runs" in await console.run("status", code=5)
    monkeypatch.setattr(cli_show, "ask", fault)
    assert await console.run("status", code=1) == (
        "munbon-gate: a fault of ours, please report it: status: OverflowError: date value out of range\n"
    )


def test_no_length_of_time_reaches_beyond_the_calendar() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="longer than 3660 days"):
        duration_s("99999999d")
