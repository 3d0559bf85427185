"""A test that failed on a busy machine is tried once more, alone and by name; what fails again fails the run."""

import json
from pathlib import Path

import pytest

from deploy.make import tests as runner


@pytest.fixture
def failed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "lastfailed"
    monkeypatch.setattr(runner, "LAST_FAILED", path)
    monkeypatch.setenv("MUNBON_SECOND_TRY", "1")
    return path


def play(monkeypatch: pytest.MonkeyPatch, codes: list[int]) -> list[list[str]]:
    calls: list[list[str]] = []

    def run(expression: str, rest: list[str]) -> int:
        calls.append(rest)
        return codes[len(calls) - 1]

    monkeypatch.setattr(runner, "run_pytest", run)
    return calls


def test_what_passes_alone_is_named(failed_before: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    failed_before.write_text(json.dumps({"tests/x.py::test_a": True}))
    calls = play(monkeypatch, [1, 0])
    assert runner.main(["--side-by-side", "not slow"]) == 0
    assert calls[1] == ["--last-failed"]
    assert "passed only at the second try: tests/x.py::test_a" in capsys.readouterr().out


def test_what_fails_again_fails_the_run(failed_before: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed_before.write_text(json.dumps({"tests/x.py::test_a": True}))
    assert (play(monkeypatch, [1, 1]), runner.main(["not slow"]))[1] == 1


def test_many_failures_are_no_accident(failed_before: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed_before.write_text(json.dumps({f"t{number}": True for number in range(6)}))
    calls = play(monkeypatch, [1, 0])
    assert runner.main(["not slow"]) == 1
    assert len(calls) == 1


def test_nobody_tries_again_at_a_desk(failed_before: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUNBON_SECOND_TRY")
    calls = play(monkeypatch, [1, 0])
    assert runner.main(["not slow"]) == 1
    assert len(calls) == 1
