"""Commands at the desk: signed by the right key, for here and now, carried out once; refused with the reason otherwise."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_agent.gate_control.console import desk as desk_module
from edge_agent.gate_control.console.desk import HELD_UP_S, RATE_COMMANDS, RATE_WINDOW_S, Busy, Refused, action_of
from edge_agent.gate_control.decide.modes import Control
from shared.contracts.envelope import Role
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_socket import JournalKind, SiteAction, SiteVerb
from shared.errors import Malformed, MunbonError, Permanent, Retryable
from shared.signing.dsse import make_trust_root, sign_document
from shared.signing.keys import signer_from_seed
from tests.fakes.desk import MAINTAINER, OPERATOR, VIEWER, DeskBench
from tests.fakes.gate import STRANGER, make_plan

CENTRAL = signer_from_seed(b"c" * 32, name="central")
MOVE = GateAction(gate="g1", verb=GateVerb.MOVE, params={"opening_pct": 55.0})


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[DeskBench]:
    made = DeskBench(tmp_path)
    await made.start()
    yield made
    await made.stop()


async def test_a_signed_move_is_carried_out_and_told(bench: DeskBench) -> None:
    view = await bench.desk.run_signed(bench.command(note="trash at the rack"))
    assert (view.accepted, view.gate, view.verb) == (True, "g1", "move")
    assert "to 40.0 %" in view.reasons[0]
    motion = bench.modes["g1"].motion
    assert motion is not None
    assert (motion.opening_pct, bench.modes["g1"].control) == (40.0, Control.MANUAL)
    [(kind, gate, data)] = bench.records
    assert (kind, gate, data["verb"], data["from"], data["note"]) == (
        JournalKind.COMMAND_ACCEPTED,
        "g1",
        "move",
        "central",
        "trash at the rack",
    )
    assert data["by"].startswith("office (key ")


async def test_the_id_is_on_the_disk_before_anything_moves(bench: DeskBench) -> None:
    bench.scans = False
    asked = asyncio.create_task(bench.desk.run_signed(bench.command()))
    await bench.clock.settle()
    assert [(line["id"], line["answer"]) for line in bench.written()] == [("command-0000000000000001", None)]
    assert bench.acted == []
    bench.scans = True
    bench.desk.arrived.set()
    assert (await asked).accepted
    await bench.book.settle(1.0)
    assert bench.written()[-1]["answer"]["accepted"] is True


async def test_a_repeat_gets_the_same_answer_and_never_a_second_act(bench: DeskBench) -> None:
    envelope = bench.command()
    first = await bench.desk.run_signed(envelope)
    second = await bench.desk.run_signed(envelope)
    await bench.restart()
    bench.clock.tick(7_200.0)
    third = await bench.desk.run_signed(envelope)
    assert second == third == first.model_copy(update={"repeated": True})
    assert len(bench.acted) == 1


async def test_a_repeat_that_comes_while_the_first_is_carried_out_waits_for_its_answer(bench: DeskBench) -> None:
    bench.scans = False
    envelope = bench.command()
    asked = [asyncio.create_task(bench.desk.run_signed(envelope)) for _ in range(3)]
    await bench.clock.settle()
    bench.scans = True
    bench.desk.arrived.set()
    views = await asyncio.gather(*asked)
    assert sorted(view.repeated for view in views) == [False, True, True]
    assert len(bench.acted) == 1


async def test_a_command_whose_process_died_is_not_carried_out_again(bench: DeskBench) -> None:
    bench.scans = False
    envelope = bench.command()
    asked = asyncio.create_task(bench.desk.run_signed(envelope))
    await bench.clock.settle()
    lines = (bench.folder / "commands.jsonl").read_bytes()
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await bench.stop()
    (bench.folder / "commands.jsonl").write_bytes(lines + b'{"id":"torn')
    bench.scans = True
    await bench.start()
    assert await bench.refused(envelope) == "Interrupted"
    assert bench.acted == []
    assert (await bench.desk.run_signed(bench.command(id="another-command-0001"))).accepted
    await bench.restart()
    assert bench.book.find("another-command-0001") is not None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"site": "south"}, "WrongSite"),
        ({"gate": "g9"}, "UnknownGate"),
        ({"signer": STRANGER}, "SignatureInvalid"),
        ({"signer": CENTRAL}, "SignatureInvalid"),
    ],
)
async def test_what_is_not_for_here_or_not_signed_for_here_is_refused(bench: DeskBench, changes: dict[str, Any], code: str) -> None:
    assert await bench.refused(bench.command(**changes)) == code
    assert bench.acted == []
    assert [(kind, data["code"]) for kind, _, data in bench.records] == [(JournalKind.COMMAND_REFUSED, code)]


async def test_a_plan_cannot_pass_for_a_command(bench: DeskBench) -> None:
    from tests.fakes.gate import OWNER

    assert await bench.refused(sign_document(make_plan(), [OWNER])) == "Malformed"
    assert await bench.refused(b"nonsense") == "Malformed"


async def test_expired_and_postdated_commands_are_refused_with_both_times(bench: DeskBench) -> None:
    old, early = (
        bench.command(),
        bench.command(issued_at=bench.clock.wall() + timedelta(minutes=10), expires_at=bench.clock.wall() + timedelta(minutes=11)),
    )
    assert await bench.refused(early) == "IssuedInFuture"
    bench.clock.tick(60.0 + 121.0)
    with pytest.raises(MunbonError, match=r"was good until 2026-03-01T06:01:00\+00:00, here it is 2026-03-01T06:03:01"):
        await bench.desk.run_signed(old)


async def test_a_gate_that_lost_its_clock_takes_a_stop_and_nothing_that_does_not_fit_the_clock(bench: DeskBench) -> None:
    bench.clock.synchronised = False
    move, stop = bench.command(), bench.command(GateVerb.STOP)
    assert (await bench.desk.run_signed(bench.command())).accepted
    bench.clock.jump_wall(-9 * 86_400)
    assert await bench.refused(move) == "ClockNotSet"
    assert (await bench.desk.run_signed(stop)).accepted


async def test_the_same_id_for_something_else_is_a_replay(bench: DeskBench) -> None:
    assert (await bench.desk.run_signed(bench.command(id="the-same-id-000001"))).accepted
    other = bench.command(id="the-same-id-000001", params={"opening_pct": 99.0})
    assert await bench.refused(other) == "Replayed"
    assert len(bench.acted) == 1


async def test_a_gate_that_refuses_says_why_and_keeps_to_it(bench: DeskBench) -> None:
    assert (await bench.desk.run_local("r1", SiteAction(gate="g1", verb=SiteVerb.TAG, note="diver in the water"), OPERATOR)).accepted
    envelope = bench.command()
    view = await bench.desk.run_signed(envelope)
    assert (view.accepted, view.code) == (False, "TaggedOut")
    assert "malee" in view.reason
    assert "diver in the water" in view.reason
    assert (await bench.desk.run_signed(envelope)).reason == view.reason


async def test_stop_may_mean_all_gates(bench: DeskBench) -> None:
    view = await bench.desk.run_signed(bench.command(GateVerb.STOP, gate=""))
    assert view.accepted
    assert {name: modes.stopped_by.split()[0] for name, modes in bench.modes.items()} == {"g1": "office", "g2": "office"}


async def test_a_disk_that_hangs_delays_a_command_by_a_bounded_time_only(bench: DeskBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "STORE_WAIT_S", 0.01)
    bench.disk.is_hung = True
    envelope = bench.command()
    assert (await bench.desk.run_signed(envelope)).accepted
    assert (await bench.desk.run_signed(envelope)).repeated
    assert len(bench.acted) == 1
    assert "slow" in bench.book.problem


async def test_a_full_disk_stops_no_command_and_is_told(bench: DeskBench) -> None:
    bench.disk.error = OSError(28, "No space left on device")
    assert (await bench.desk.run_signed(bench.command())).accepted
    assert "No space left" in bench.book.problem
    bench.disk.error = None
    assert (await bench.desk.run_signed(bench.command())).accepted
    await bench.book.settle(1.0)
    assert bench.book.problem == ""
    assert len({line["id"] for line in bench.written()}) == 2


async def test_before_the_list_can_be_read_only_what_is_new_is_carried_out_and_nothing_is_overwritten(bench: DeskBench) -> None:
    old = bench.command()
    assert (await bench.desk.run_signed(old)).accepted
    await bench.stop()
    before = (bench.folder / "commands.jsonl").read_bytes()
    bench.clock.tick(1.0)
    await bench.start(opened=False)
    assert await bench.refused(old) == "Unavailable"
    assert (await bench.desk.run_signed(bench.command())).accepted
    assert (bench.folder / "commands.jsonl").read_bytes() == before
    await bench.book.open(bench.clock)
    assert (await bench.desk.run_signed(old)).repeated


async def test_a_scan_that_does_not_come_withdraws_the_command(bench: DeskBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "TAKEN_WITHIN_S", 0.01)
    bench.scans = False
    assert await bench.refused(bench.command()) == "Unavailable"
    assert bench.desk.take() == ()


async def test_a_flood_of_commands_is_turned_away_unread_and_unwritten(bench: DeskBench) -> None:
    for _ in range(RATE_COMMANDS):
        assert await bench.refused(b"nonsense") == "Malformed"
    with pytest.raises(Busy):
        await bench.desk.run_signed(bench.command())
    assert len(bench.records) == RATE_COMMANDS
    assert (await bench.desk.run_local("r1", MOVE, OPERATOR)).accepted
    assert (await bench.desk.run_local("r2", SiteAction(gate="g1", verb=SiteVerb.OWNER_RELEASE), OPERATOR)).accepted
    bench.clock.tick(RATE_WINDOW_S + 0.1)
    assert (await bench.desk.run_signed(bench.command())).accepted


async def test_a_flood_at_the_site_is_turned_away_and_a_stop_there_is_not(bench: DeskBench) -> None:
    for number in range(RATE_COMMANDS):
        await bench.desk.run_local(f"r{number}", MOVE, OPERATOR)
    with pytest.raises(Busy):
        await bench.desk.run_local("one more", MOVE, OPERATOR)
    assert (await bench.desk.run_local("stop", GateAction(verb=GateVerb.STOP), OPERATOR)).accepted


async def test_a_missing_trust_root_is_named(bench: DeskBench) -> None:
    (bench.folder / "gate-trust-root.json").unlink()
    with pytest.raises(Permanent, match=r"gate-trust-root\.json: trust root is missing"):
        await bench.desk.run_signed(bench.command())


async def test_a_disk_that_hangs_does_not_keep_a_stop_waiting_for_keys_that_were_read_before(
    bench: DeskBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "TRUST_WAIT_S", 0.01)
    assert (await bench.desk.run_signed(bench.command())).accepted
    bench.trust_disk.is_hung = True
    assert (await bench.desk.run_signed(bench.command(GateVerb.STOP))).accepted
    assert await bench.refused(bench.command(signer=STRANGER)) == "SignatureInvalid"
    await bench.restart()
    with pytest.raises(Retryable, match="cannot be read now"):
        await bench.desk.run_signed(bench.command(GateVerb.STOP))


async def test_a_key_that_is_taken_out_of_the_trust_root_commands_no_more(bench: DeskBench) -> None:
    assert (await bench.desk.run_signed(bench.command())).accepted
    (bench.folder / "gate-trust-root.json").write_text(json.dumps(make_trust_root({Role.GATE_PLAN: [STRANGER.public]}).to_json()))
    assert await bench.refused(bench.command()) == "SignatureInvalid"


# ------------------------------------------------------------------------------------------------- people at the site


async def test_people_at_the_site_act_by_their_role(bench: DeskBench) -> None:
    assert (await bench.desk.run_local("r1", MOVE, OPERATOR, "weeds")).accepted
    refused = await bench.desk.run_local("r2", MOVE, VIEWER)
    assert (refused.accepted, refused.code) == (False, "NotAllowed")
    assert "kiet is viewer" in refused.reason
    with pytest.raises(MunbonError, match="plan_release takes role maintainer, malee is operator"):
        await bench.desk.run_local("r3", GateAction(verb=GateVerb.PLAN_RELEASE), OPERATOR)
    bench.local_plan = True
    released = await bench.desk.run_local("r4", GateAction(verb=GateVerb.PLAN_RELEASE), MAINTAINER)
    assert (released.reasons, bench.local_plan) == (("plan 3 of central is in force",), False)


async def test_what_the_console_took_central_cannot_move_until_it_is_released(bench: DeskBench) -> None:
    assert (await bench.desk.run_local("r1", MOVE, OPERATOR)).accepted
    assert await bench.refused(bench.command()) == "NotOwner"
    assert (await bench.desk.run_local("r2", SiteAction(gate="g1", verb=SiteVerb.OWNER_RELEASE), OPERATOR)).accepted
    assert (await bench.desk.run_signed(bench.command())).accepted


async def test_a_local_request_id_acts_once_for_each_user(bench: DeskBench) -> None:
    first = await bench.desk.run_local("r1", MOVE, OPERATOR, asked_at_s=bench.clock.monotonic_s())
    bench.clock.tick(60.0)
    assert (await bench.desk.run_local("r1", MOVE, OPERATOR, asked_at_s=bench.clock.monotonic_s() - 60.0)).repeated
    assert not (await bench.desk.run_local("r1", MOVE, MAINTAINER)).repeated
    assert first.accepted
    with pytest.raises(MunbonError, match="was used for another command"):
        await bench.desk.run_local("r1", GateAction(gate="g2", verb=GateVerb.STOP), OPERATOR)


async def test_a_tagout_is_cleared_in_two_steps_by_the_same_person(bench: DeskBench) -> None:
    tag, clear = SiteAction(gate="g1", verb=SiteVerb.TAG, note="gearbox open"), SiteAction(gate="g1", verb=SiteVerb.TAG_CLEAR)
    assert (await bench.desk.run_local("r1", tag, OPERATOR)).accepted
    assert not (await bench.desk.run_local("r2", clear, OPERATOR)).accepted
    step = await bench.desk.run_local("r3", clear, MAINTAINER)
    assert (step.data["code"], step.data["holder"]) == ("271828", "malee")
    wrong = await bench.desk.run_local("r4", SiteAction(gate="g1", verb=SiteVerb.TAG_CONFIRM, code="000000"), MAINTAINER)
    assert (wrong.accepted, wrong.code) == (False, "WrongCode")
    right = SiteAction(gate="g1", verb=SiteVerb.TAG_CONFIRM, code="271828")
    assert (await bench.desk.run_local("r5", right, MAINTAINER)).code == "NoFirstStep"
    await bench.desk.run_local("r6", clear, MAINTAINER)
    assert (await bench.desk.run_local("r7", right, MAINTAINER)).accepted
    assert bench.modes["g1"].tags == ()


async def test_the_code_is_good_for_a_minute_and_never_on_the_disk(bench: DeskBench) -> None:
    await bench.desk.run_local("r1", SiteAction(gate="g1", verb=SiteVerb.TAG), OPERATOR)
    step = await bench.desk.run_local("r2", SiteAction(gate="g1", verb=SiteVerb.TAG_CLEAR), MAINTAINER)
    assert step.data["valid_s"] == 60.0
    bench.clock.tick(60.0)
    late = await bench.desk.run_local("r3", SiteAction(gate="g1", verb=SiteVerb.TAG_CONFIRM, code="271828"), MAINTAINER)
    assert late.code == "NoFirstStep"
    await bench.book.settle(1.0)
    assert "271828" not in json.dumps(bench.written())
    assert all("271828" not in json.dumps(data) for _, _, data in bench.records)


async def test_a_tag_that_is_not_on_the_disk_yet_is_told_so(bench: DeskBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "STORE_WAIT_S", 0.01)
    tag = SiteAction(gate="g1", verb=SiteVerb.TAG)
    assert len((await bench.desk.run_local("r1", tag, OPERATOR)).reasons) == 1
    bench.disk.is_hung = True
    told = await bench.desk.run_local("r2", tag, MAINTAINER)
    assert told.accepted
    assert "not on the disk yet" in told.reasons[-1]


async def test_a_stop_that_is_not_on_the_disk_yet_is_told_so_after_it_acted(bench: DeskBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "STORE_WAIT_S", 0.01)
    stop = GateAction(gate="g1", verb=GateVerb.STOP)
    assert "not on the disk yet" not in " ".join((await bench.desk.run_local("r1", stop, OPERATOR)).reasons)
    bench.disk.is_hung = True
    told = await bench.desk.run_local("r2", stop, OPERATOR)
    assert told.accepted
    assert bench.modes["g1"].stopped_by
    assert "not on the disk yet" in told.reasons[-1]


async def test_a_tagout_cannot_be_cleared_from_afar(bench: DeskBench) -> None:
    with pytest.raises(ValueError, match="verb"):
        bench.command(SiteVerb.TAG_CONFIRM)  # type: ignore[arg-type]


def test_actions_are_read_or_refused_by_name() -> None:
    assert action_of({"gate": "g1", "verb": "move", "params": {"opening_pct": 3}}) == GateAction(
        gate="g1", verb=GateVerb.MOVE, params={"opening_pct": 3}
    )
    assert action_of({"gate": "g1", "verb": "tag", "note": "why"}) == SiteAction(gate="g1", verb=SiteVerb.TAG, note="why")
    for wrong in ({}, {"verb": "open"}, {"verb": "move", "gate": "g1"}, {"verb": "tag"}, {"verb": ["move"]}):
        with pytest.raises(Malformed):
            action_of(wrong)


async def test_what_waited_while_the_process_was_held_up_is_not_done_later_but_for_a_stop(bench: DeskBench) -> None:
    long_ago_s = bench.clock.monotonic_s() - HELD_UP_S - 1.0
    with pytest.raises(Refused, match="held up"):
        await bench.desk.run_local("r1", MOVE, OPERATOR, asked_at_s=long_ago_s)
    assert bench.modes["g1"].motion is None
    assert (await bench.desk.run_local("r2", GateAction(gate="g1", verb=GateVerb.STOP), OPERATOR, asked_at_s=long_ago_s)).accepted
    assert (await bench.desk.run_local("r3", MOVE, OPERATOR, asked_at_s=bench.clock.monotonic_s() - 5.0)).accepted
