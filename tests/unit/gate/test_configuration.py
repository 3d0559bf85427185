"""`munbon-gate check` on the example's own file, and the words of a command that cannot work. What `check` judges: test_check_site."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_agent.gate_control.check.finding import Finding
from edge_agent.gate_control.console.cli import run_command
from edge_agent.gate_control.model.configuration import SiteConfiguration
from tests.fakes.gate import site_text


def never(_site: SiteConfiguration, _folder: Path, _findings: Sequence[Finding]) -> int:
    raise AssertionError("check must not run the gate")


def check(path: Path, text: str) -> int:
    path.write_text(text)
    return run_command(["check", "--config", str(path)], never)


@pytest.mark.parametrize("options", [{}, {"gates": ("g1", "g2", "g3")}, {"speed": 20.0}, {"speed": 20.0, "scan_period_s": 0.2}])
def test_the_example_is_a_good_site(tmp_path: Path, capsys: pytest.CaptureFixture[str], options: dict[str, object]) -> None:
    assert check(tmp_path / "site.yaml", site_text(**options)) == 0
    assert "site north" in capsys.readouterr().out


MISTAKES = [
    ("scan_period_s: 1.0", "scan_period_s: 0.0", "scan_period_s"),
    ("scan_period_s: 1.0", "scan_period: 1.0", "scan_period"),
    ('"opening_max_pct": 95.0', '"opening_max_pct": 101.0', "opening_max_pct"),
    ('"reset": 2.5', '"reset": 2.7', "reset 2.7 must be below trip 2.6"),
    ('"points": ["g1-level"]', '"points": ["g9-level"]', "g9-level"),
    ('site: "north"', "site: [", "site.yaml:4: site: is not valid YAML"),
]


@pytest.mark.parametrize(("right", "wrong", "reason"), MISTAKES)
def test_a_mistake_is_named_with_key_and_reason_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], right: str, wrong: str, reason: str
) -> None:
    text = site_text()
    assert right in text
    assert check(tmp_path / "site.yaml", text.replace(right, wrong)) == 2
    captured = capsys.readouterr()
    assert reason in captured.err + captured.out


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["check", "--config", str(tmp_path / "none.yaml")], never) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_asking_a_gate_that_does_not_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["status", "--socket", str(tmp_path / "gate.sock")], never) == 5
    assert "is munbon-gate running?" in capsys.readouterr().err
