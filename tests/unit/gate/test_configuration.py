from pathlib import Path

import pytest

from edge_agent.gate_control.console.cli import run_command
from edge_agent.gate_control.model.site import SiteSettings
from tests.fakes.gate import site_toml


def never(_site: SiteSettings, _folder: Path) -> int:
    raise AssertionError("check must not run the gate")


def check(path: Path, text: str) -> int:
    path.write_text(text)
    return run_command(["check", "--config", str(path)], never)


def test_a_good_configuration_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path / "gate.toml", site_toml()) == 0
    assert "site north, 1 gate(s)" in capsys.readouterr().out


MISTAKES = [
    ("scan_period_s = 1.0", "scan_period_s = 0.0", "scan_period_s"),
    ("scan_period_s = 1.0", "scan_period = 1.0", "scan_period: Extra inputs are not permitted"),
    ("opening_max_pct = 95.0", "opening_max_pct = 5.1", "leave less room than deadband_pct 0.5"),
    ("opening_max_pct = 95.0", "opening_max_pct = 101.0", "gates.0.limits.opening_max_pct"),
    ("level_min_m = 1.0", "level_min_m = 5.0", "level_min_m 5.0 must be below level_max_m 2.8"),
    ("valid_max = 4.0", "valid_max = -4.0", "valid_min -0.1 must be below valid_max -4.0"),
    ("valid_max = 4.0", "valid_max = inf", "gates.0.points.upstream_level.valid_max"),
    ("timeout_s = 0.4", "timeout_s = 3.0", "gates.0.modbus.timeout_s"),
    ("reset_m = 2.4", "reset_m = 2.7", "reset_m 2.7 must be below trip_m 2.6"),
    ("opening_pct = 95.0", "opening_pct = 99.0", "interlock high_high: opening_pct 99.0 lies outside the gate's own limits 5.0 to 95.0"),
    ('point = "upstream_level"', 'point = "downstream_level"', "watches downstream_level, which the gate does not have"),
    ('table = "holding"', 'table = "input"', "input registers cannot be written"),
    ('id = "g1"', 'id = "G 1"', "gates.0.id"),
    ('site = "north"', 'site = ""', "site"),
    ("control_period_s = 20.0", "control_period_s = 0.5", "must not be below scan_period_s"),
    ("scale = 0.1", "scale = 0.0", "scale must not be 0"),
    ('site = "north"', "site = [", "is not valid TOML"),
]


@pytest.mark.parametrize(("right", "wrong", "reason"), MISTAKES)
def test_a_mistake_is_named_with_key_and_reason_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], right: str, wrong: str, reason: str
) -> None:
    text = site_toml()
    assert right in text
    assert check(tmp_path / "gate.toml", text.replace(right, wrong)) == 2
    assert reason in capsys.readouterr().err


def test_two_gates_of_one_name_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path / "gate.toml", site_toml(gates=("g1", "g2")).replace('id = "g2"', 'id = "g1"')) == 2
    assert "gate g1 stands twice" in capsys.readouterr().err


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["check", "--config", str(tmp_path / "none.toml")], never) == 2
    assert "none.toml" in capsys.readouterr().err


def test_asking_a_gate_that_does_not_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["status", "--socket", str(tmp_path / "gate.sock")], never) == 5
    assert "is munbon-gate running?" in capsys.readouterr().err
