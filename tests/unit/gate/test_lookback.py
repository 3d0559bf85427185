"""`munbon-gate replay`, `shadow` and `explain` on a journal's real file."""

from __future__ import annotations

import argparse
import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from edge_agent.gate_control.journal.code_digest import code_digest
from edge_agent.gate_control.journal.database import JournalDatabase, StoredBlock
from edge_agent.gate_control.journal.packing import pack
from edge_agent.gate_control.lookback.commands import DIFFERENT, add_commands, moment
from shared.contracts.base import format_utc
from shared.errors import MunbonError
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
        format_utc(BEGAN), ended, "boot", SCANS, digest, hashlib.sha256(site.encode()).hexdigest(), pack(story.writer.content())
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


def test_a_time_is_read_as_people_type_it_and_nonsense_is_refused() -> None:
    assert moment("2026-05-01T06:00:00Z") == START
    with pytest.raises(argparse.ArgumentTypeError, match="is no time"):
        moment("yesterday")


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
