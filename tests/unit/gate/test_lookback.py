"""`munbon-gate replay`, `shadow` and `explain` on a journal's real file."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.journal.code_digest import code_digest
from edge_agent.gate_control.journal.database import JournalDatabase, StoredBlock
from edge_agent.gate_control.journal.packing import pack
from edge_agent.gate_control.lookback.commands import DIFFERENT, add_commands, moment
from edge_agent.gate_control.lookback.moments import read_moment
from shared.contracts.base import format_utc
from shared.errors import MunbonError, Permanent, UsageError
from tests.fakes.gate_site import START
from tests.fakes.gate_story import Story, one_gate_site

SCANS = 300
BEGAN = START + timedelta(seconds=100)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Five minutes of a gate that moved."""
    path = tmp_path / "gate.sqlite"
    keep(path, code_digest())
    return path


def keep(path: Path, digest: str) -> Story:
    story = Story(7)
    for second in range(SCANS):
        story.scan(second)
    site = story.site.model_dump_json(by_alias=True)
    ended = format_utc(BEGAN + timedelta(seconds=SCANS))
    block = StoredBlock(
        format_utc(BEGAN), ended, "boot", SCANS, digest, hashlib.sha256(site.encode()).hexdigest(), pack(story.writer.text())
    )
    database = JournalDatabase(path)
    database.append_block(block, site)
    database.close()
    return story


def run(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers())
    options = parser.parse_args([str(word) for word in words])
    code: int = options.handler(options)
    return code


def site_file(folder: Path, kp_m2_per_s: float) -> Path:
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(json.loads(one_gate_site(kp_m2_per_s).model_dump_json(by_alias=True, exclude_none=True))))
    return path


def test_a_replay_by_the_same_code_shows_no_difference(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run("replay", "--journal", journal)

    shown = capsys.readouterr().out
    assert code == 0
    assert f"{SCANS} scans in 1 blocks" in shown
    assert "no block(s) differ" in shown


def test_a_replay_by_another_configuration_shows_where_it_parts_and_why(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run("replay", "--journal", journal, "--site", site_file(tmp_path, 9.0), "-o", "json")

    [difference] = json.loads(capsys.readouterr().out)["differences"]
    assert code == DIFFERENT
    assert difference["then"] != difference["today"]
    assert difference["reasons"][0].startswith("g1: level off by")
    assert difference["by_same_code"] is False


def test_blocks_of_other_code_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(tmp_path / "gate.sqlite", "0" * 64)

    assert run("replay", "--journal", tmp_path / "gate.sqlite") == 0
    assert "1 blocks were decided by other code" in capsys.readouterr().out


def test_a_time_in_which_nothing_was_kept_is_said(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("replay", "--journal", journal, "--from", "2030-01-01T00:00:00Z") == 0
    assert "no scans are kept for that time" in capsys.readouterr().out


def test_explain_says_why_the_gate_moved_in_that_very_scan(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("replay", "--journal", journal, "-o", "json")
    capsys.readouterr()
    story = Story(7)
    second = 0
    while not story.commands:
        story.scan(second)
        second += 1
    at = START + timedelta(seconds=100 + second - 1, milliseconds=500)

    assert run("explain", "g1", "--journal", journal, "--at", at.isoformat()) == 0

    shown = capsys.readouterr().out
    assert "AUTO" in shown
    assert "because level off by" in shown
    assert "commanded in this scan: g1 move" in shown
    assert "level" in shown


def test_explain_of_the_newest_scan_names_the_last_command(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "g1", "--journal", journal, "-o", "json") == 0

    shown = json.loads(capsys.readouterr().out)
    assert shown["last_command"].startswith("g1 move")
    assert shown["reasons"]
    assert {reading["quality"] for reading in shown["readings"]} == {"good"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["explain", "g9"], "it has g1"),
        (["explain", "g1", "--at", "2020-01-01T00:00:00Z"], "no scan up to 2020"),
        (["replay", "--from", "2026-05-02T00:00:00Z", "--to", "2026-05-01T00:00:00Z"], "--from lies after --to"),
    ],
)
def test_what_cannot_be_answered_is_said_in_words(journal: Path, words: list[str], said: str) -> None:
    with pytest.raises(MunbonError, match=said):
        run(*words, "--journal", journal)


def test_a_missing_or_damaged_journal_is_named(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("not a database")
    for name, said in (("absent", "there is no journal here"), ("other", "is not a journal")):
        with pytest.raises(MunbonError, match=said):
            run("replay", "--journal", tmp_path / name)


@pytest.mark.parametrize(
    "text", ["yesterday", "25:00", "2026-02-30", "", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "99999999d ago"]
)
def test_nonsense_and_times_that_no_calendar_knows_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no moment; write 17:05"):
        moment(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-05-01T06:00:00Z", "2026-05-01T06:00:00Z"),
        ("20260501T060000Z", "2026-05-01T06:00:00Z"),
        ("2026-05-01 13:00", "2026-05-01T06:00:00Z"),
        ("2026-05-01", "2026-04-30T17:00:00Z"),
        ("2026-05-01T08:00:00+02:00", "2026-05-01T06:00:00Z"),
        ("17:05", "2026-05-01T10:05:00Z"),
        ("17:05:30", "2026-05-01T10:05:30Z"),
        ("18:30", "2026-04-30T11:30:00Z"),
        ("today 18:30", "2026-05-01T11:30:00Z"),
        ("yesterday 17:05", "2026-04-30T10:05:00Z"),
        ("10m ago", "2026-05-01T10:50:00Z"),
        ("-90s", "2026-05-01T10:58:30Z"),
        ("2d", "2026-04-29T11:00:00Z"),
        ("now", "2026-05-01T11:00:00Z"),
    ],
)
def test_a_time_is_read_as_people_type_it(text: str, meant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Bangkok")
    time.tzset()
    try:
        assert format_utc(read_moment(text, datetime(2026, 5, 1, 11, tzinfo=UTC))) == meant
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.text(max_size=30), st.datetimes(timezones=st.just(UTC)))
def test_whatever_is_typed_is_a_moment_or_refused(text: str, now: datetime) -> None:
    with contextlib.suppress(ValueError):
        assert read_moment(text, now).tzinfo is UTC


def test_a_question_about_a_time_in_which_nothing_ran_is_answered_by_the_scan_before_and_that_is_said(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = StoredBlock("2026-05-01T09:00:00Z", "2026-05-01T09:05:00Z", "boot", 1, "c", "s", b"damaged")
    with contextlib.closing(JournalDatabase(journal)) as database:
        database.append_block(later, "{}")
    run("explain", "g1", "--journal", journal, "--at", "2026-05-01T08:00:00Z")
    shown = capsys.readouterr().out
    assert "none was made until 2026-05-01T09:00:00Z, the process was not running" in shown
    run("explain", "g1", "--journal", journal, "-o", "json")
    assert "newer scans cannot be read: block of 2026-05-01T09:00:00Z" in json.loads(capsys.readouterr().out)["gap"]
    run("explain", "g1", "--journal", journal, "--at", format_utc(BEGAN + timedelta(seconds=100)), "-o", "json")
    assert json.loads(capsys.readouterr().out)["gap"] == ""
    with pytest.raises(Permanent, match="scans are kept from 2026-05-01T06:01:40Z"):
        run("explain", "g1", "--journal", journal, "--at", "2026-04-30")


def test_a_damaged_block_is_named_and_the_others_are_decided_again(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = StoredBlock("2026-05-01T09:00:00Z", "2026-05-01T09:05:00Z", "boot", 1, "c", "s", b"damaged")
    with contextlib.closing(JournalDatabase(journal)) as database:
        database.append_block(damaged, "{}")
    assert run("replay", "--journal", journal, "-o", "json") == DIFFERENT
    shown = json.loads(capsys.readouterr().out)
    assert (shown["scans"], shown["differences"]) == (SCANS, [])
    assert "block of 2026-05-01T09:00:00Z" in shown["unreadable"][0]


def test_a_gate_that_is_not_there_is_wrong_input(journal: Path) -> None:
    with pytest.raises(UsageError, match="is not at site north; it has g1"):
        run("explain", "g9", "--journal", journal)


def test_a_journal_that_this_user_may_not_read_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "gate.sqlite").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        run("explain", "g1", "--journal", tmp_path / "gate.sqlite")


@pytest.mark.root
def test_a_journal_on_a_card_that_is_read_only_is_read(journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = tmp_path / "card"
    card.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(card)], check=True)
    try:
        shutil.copy(journal, card / "gate.sqlite")
        subprocess.run(["mount", "-o", "remount,ro", str(card)], check=True)
        assert run("explain", "g1", "--journal", card / "gate.sqlite") == 0
    finally:
        subprocess.run(["umount", "-l", str(card)], check=True)
    assert "because" in capsys.readouterr().out


def test_the_shadow_ends_after_the_scans_asked_for_and_tells_what_it_saw(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running gate adds a block while the shadow follows."""

    async def meanwhile(_clock: object, _delay_s: float) -> None:
        keep(journal, code_digest())

    monkeypatch.setattr("edge_agent.gate_control.lookback.commands.SystemClock.sleep", meanwhile)
    code = run("shadow", "--journal", journal, "--site", site_file(tmp_path, 9.0), "--scans", str(SCANS))

    shown = capsys.readouterr()
    assert code == DIFFERENT
    assert "g1 move" in shown.out
    assert "nothing is acted on" in shown.err
