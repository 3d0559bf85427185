"""`munbon-gate tune`: gains that hold when they are put into the file."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from deploy.examples.canals import example_sites
from edge_agent.gate_control.console.cli import run_command

ALL = example_sites()["canal-8-pools/site.yaml"]


def never(*_arguments: object) -> int:
    raise AssertionError("tune must not run the gate")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(ALL)
    return path


def tuned(site: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert run_command(["tune", str(site), "-o", "json", *arguments], never) == 0
    loops: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["loops"]
    return loops


def test_every_loop_gets_gains_that_keep_the_margin_at_both_flows(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for margin in (45.0, 60.0):
        loops = tuned(site, capsys, "--margin", f"{margin:g}")
        assert [row["structure"] for row in loops] == [f"g{number}" for number in range(1, 9)]
        assert all(min(row["phase_margin_low_deg"], row["phase_margin_high_deg"]) >= margin for row in loops)


def test_more_margin_means_less_gain(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick, calm = tuned(site, capsys, "--margin", "45"), tuned(site, capsys, "--margin", "70")
    assert all(one["kp_m2_per_s"] > other["kp_m2_per_s"] for one, other in zip(quick, calm, strict=True))


def test_tuned_gains_put_into_the_file_are_found_good(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = ALL
    for row in tuned(site, capsys, "--margin", "46"):
        keys = ("kp_m2_per_s", "ti_s", "filter_s", "control_period_s")
        block = "".join(f"      {key}: {row[key]!r}\n" for key in keys)
        start = text.index(f"  - id: {row['structure']}\n    capacity")
        pattern = re.compile(r"(    downstream_loop:\n)(?:      (?:kp_m2_per_s|ti_s|filter_s|control_period_s): .*\n)+")
        text = text[:start] + pattern.sub(lambda match, block=block: match[1] + block, text[start:], count=1)  # type: ignore[misc]
    site.write_text(text)
    assert run_command(["check", str(site)], never) == 0
    assert "g8" in capsys.readouterr().out


def test_one_pool_alone_and_the_lines_for_the_file(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["tune", str(site), "--pool", "p3"], never) == 0
    out = capsys.readouterr().out
    assert "gains for 60 degrees" in out
    lines = "g3:\n  downstream_loop: {kp_m2_per_s: 0.916, ti_s: 2920, filter_s: 20, control_period_s: 20, decoupler_structure: g4}\n"
    assert lines in out
    assert "p4" not in out


def test_a_pool_without_a_loop_is_tuned_from_its_far_end(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = ALL.index("    downstream_loop:\n", ALL.index("  - id: g8\n"))
    site.write_text(ALL[:start] + ALL[ALL.index("    gates:\n", start) :])
    (row,) = tuned(site, capsys, "--pool", "p8")
    assert (row["structure"], row["loop"], row["kp_m2_per_s"]) == ("g8", "downstream_loop", 0.194)


def test_a_loop_with_too_little_margin_can_still_be_tuned(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site.write_text(ALL.replace("kp_m2_per_s: 0.411", "kp_m2_per_s: 4.11"))
    assert tuned(site, capsys, "--pool", "p2")[0]["kp_m2_per_s"] == 0.411


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--margin", "90"], "a margin of 90 degrees is not between 20 and 80"),
        (["--margin", "nan"], "is not between 20 and 80"),
        (["--pool", "p9"], "there is no pool 'p9'"),
    ],
)
def test_a_wrong_question_is_refused(site: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    assert run_command(["tune", str(site), *arguments], never) == 2
    assert said in capsys.readouterr().err


def test_a_pool_that_cannot_be_is_named(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site.write_text(ALL.replace("area_m2: 821}", "area_m2: 1.0e+300}"))
    assert run_command(["tune", str(site), "--pool", "p2"], never) == 2
    assert "low.area_m2 1e+300 is no figure of a canal" in capsys.readouterr().err
