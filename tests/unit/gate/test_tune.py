"""`munbon-gate tune`: gains that hold when they are put into the file."""

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.examples.canals import example_sites
from edge_agent.gate_control.check.loop_rules import placed_loops
from edge_agent.gate_control.check.site_rules import check_site
from edge_agent.gate_control.check.yaml_site import parse_site
from edge_agent.gate_control.console.cli import run_command
from edge_agent.gate_control.console.site_report import loop_row

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
        (["--margin", "90"], "a margin of 90 degrees is not between 35 and 80"),
        (["--margin", "nan"], "is not between 35 and 80"),
        (["--margin", "30"], "with 30 and less no level is young enough for the loop"),
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


def test_yaml_has_whole_loops_to_be_pasted(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["tune", str(site), "--margin", "50", "-o", "yaml"], never) == 0
    loops = yaml.safe_load(capsys.readouterr().out)
    assert list(loops) == [f"g{number}" for number in range(1, 9)]
    assert loops["g1"]["downstream_loop"]["decoupler_structure"] == "g2"
    assert loops["g1"]["downstream_loop"]["decoupler"] == 0.7


def test_a_scan_too_slow_for_the_margin_is_told(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site.write_text(ALL.replace("scan_period_s: 1.0", "scan_period_s: 10.0"))
    assert run_command(["tune", str(site), "--margin", "36", "--pool", "p1"], never) == 2
    assert "at 36 degrees the loop bears levels of" in capsys.readouterr().err


LAST = ALL.index("  - id: p8\n", ALL.index("\npools:\n"))
WATER = re.compile(r"    low: .*\n    high: .*\n")


@st.composite
def sites(draw: st.DrawFn) -> str:
    """The example with random figures of its last pool: dynamics, resonance, the sensors' lag, and the end that is held."""
    delay_s, area_m2 = draw(st.floats(0.0, 5_000.0)), draw(st.floats(50.0, 200_000.0))
    low = f"{{flow_m3s: 0.1, delay_s: {delay_s!r}, area_m2: {area_m2!r}}}"
    high = f"{{flow_m3s: 0.6, delay_s: {delay_s * draw(st.floats(0.5, 1.0))!r}, area_m2: {area_m2 * draw(st.floats(0.5, 1.0))!r}}}"
    wave = f"    resonance_period_s: {2.0 * delay_s + 30.0!r}\n" if draw(st.booleans()) else ""
    text = ALL[:LAST] + WATER.sub(f"    low: {low}\n    high: {high}\n{wave}", ALL[LAST:], count=1)
    text = text.replace("scan_period_s: 1.0", f"scan_period_s: {draw(st.sampled_from([0.2, 1.0, 5.0]))}")
    lag_s = draw(st.just(0.0) | st.floats(1.0, 900.0))
    for point in ("p8.head", "p8.tail"):
        text = text.replace(f"  - id: {point}\n", f"  - id: {point}\n    lag_s: {lag_s!r}\n")
    start = text.index("  - id: g8\n")
    return text[:start] + text[start:].replace("downstream_end: distant", f"downstream_end: {draw(st.sampled_from(['distant', 'local']))}")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=sites(), margin_deg=st.integers(35, 80))
def test_what_tune_prints_for_any_pool_passes_check_with_that_margin_at_both_flows(tmp_path: Path, text: str, margin_deg: int) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    printed, refused = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(refused):
        code = run_command(["tune", str(path), "--margin", str(margin_deg), "--pool", "p8", "-o", "yaml"], never)
    if code:
        # nothing but a scan that is too slow for so little margin
        assert (code, "and a scan takes" in refused.getvalue()) == (2, True)
        return
    (loop,) = [line.strip() for line in printed.getvalue().splitlines() if "downstream_loop" in line]
    start = text.index("    downstream_loop:\n", text.index("  - id: g8\n"))
    pasted = f"{text[:start]}    {loop}\n{text[text.index('    gates:', start) :]}phase_margin_min_deg: {margin_deg}\n"
    site, lines = parse_site(pasted, source="site.yaml")
    assert not [str(one) for one in check_site(site, lines) if one.path.startswith("structures[7].downstream_loop")]
    (placed,) = [one for one in placed_loops(site) if one.pool.id == "p8"]
    row = loop_row(placed, placed.loop)
    assert min(row.phase_margin_low_deg, row.phase_margin_high_deg) >= margin_deg
    assert row.gain_margin_db >= 6.0
    assert row.max_age_s >= 2.0 * site.scan_period_s
