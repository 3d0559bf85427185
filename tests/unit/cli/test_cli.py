"""The command itself: contexts, exit codes, no traceback, JSON errors."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from central.cli import config, exits, main, status
from central.cli.exits import CliError
from central.cli.gates import sparkline
from central.cli.main import run
from central.cli.output import age
from deploy import cli_docs
from shared.errors import UsageError
from tests.contract.wire.record import NOW


@pytest.fixture(autouse=True)
def own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MUNBON_URL", "MUNBON_TOKEN", "MUNBON_KEY", "MUNBON_CONTEXT", "MUNBON_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "cfg" / "config.toml"
    monkeypatch.setenv(config.CONFIG_VARIABLE, str(path))
    return path


def test_a_context_is_kept_for_its_owner_only_and_read_again(own_config: Path) -> None:
    context = config.Context(name="field office", url="http://127.0.0.1:1", token='t"\\n', key="/k")
    config.save_config(config.load_config().with_context(context))
    assert own_config.stat().st_mode & 0o777 == 0o600
    assert config.active_context() == context


def test_the_environment_overrides_single_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    config.save_config(config.Config().with_context(config.Context(name="a", url="http://a", token="t")))
    monkeypatch.setenv("MUNBON_URL", "http://b")
    assert config.active_context() == config.Context(name="a", url="http://b", token="t")


def test_an_unknown_context_names_the_known_ones() -> None:
    config.save_config(config.Config().with_context(config.Context(name="a", url="http://a", token="t")))
    with pytest.raises(UsageError, match=r"'zz' is unknown; known: a"):
        config.active_context("zz")


def test_a_damaged_config_is_told_with_its_path(own_config: Path) -> None:
    own_config.parent.mkdir()
    own_config.write_text("[[[")
    with pytest.raises(UsageError, match=r"config\.toml"):
        config.load_config()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["status"], exits.USAGE, "munbon login"),
        (["frobnicate"], exits.USAGE, "frobnicate"),
        (["rollout", "start", "web"], exits.USAGE, "APP@VERSION"),
        (["rollout", "start", "web@1"], exits.USAGE, "APP@VERSION"),
        (["node", "add", "pi.north"], exits.USAGE, "pi.north"),
        (["node", "add", "pi-north", "-l", "site"], exits.USAGE, "KEY=VALUE"),
        (["node", "add", "pi-north", "-l", "site=a b"], exits.USAGE, "labels"),
        (["release", "publish", "nowhere", "--app", "web", "--version", "1.0.0"], exits.USAGE, "no such file"),
        (["release", "publish", ".", "--app", "Web", "--version", "1.0.0"], exits.USAGE, "'Web' is not allowed"),
        (["release", "publish", ".", "--app", "web", "--version", "v1"], exits.USAGE, "SemVer"),
        (["context", "use", "zz"], exits.NOT_FOUND, "zz"),
    ],
)
def test_wrong_words_are_one_line_and_an_exit_code(words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_a_central_that_is_not_there_is_told_with_its_address(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MUNBON_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MUNBON_TOKEN", "t")
    assert run(["status", "-o", "json"]) == exits.UNREACHABLE
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["exit_code"] == exits.UNREACHABLE
    assert "127.0.0.1:9" in error["message"]


def test_even_a_bug_of_ours_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> Any:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(status, "connect", broken)
    assert run(["status"]) == exits.FAILED
    assert capsys.readouterr().err == "munbon: internal error: ZeroDivisionError: oops (set MUNBON_DEBUG=1 for details)\n"


@pytest.mark.parametrize(("http", "code"), [(400, 2), (401, 6), (403, 6), (404, 4), (409, 3), (413, 2), (422, 3), (500, 1), (503, 5)])
def test_each_status_of_central_has_its_exit_code(http: int, code: int) -> None:
    assert exits.of_status(http) == code


def test_an_error_carries_its_remedy_for_people() -> None:
    assert str(CliError("went wrong", exit_code=1, subject="x", remedy="do this")) == "x: went wrong (do this)"


def _commands(group: Any, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The words of every command and group."""
    found = [words]
    for name, command in getattr(group, "commands", {}).items():
        found += _commands(command, (*words, name))
    return found


@pytest.mark.parametrize("words", _commands(typer.main.get_command(main.app)), ids=" ".join)
def test_every_command_explains_itself_with_an_example(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words, "--help"]) == exits.OK
    shown = capsys.readouterr().out
    assert len(shown.splitlines()[2].strip()) > 15
    assert f"Example: munbon {' '.join(words)}".rstrip() in " ".join(shown.split())


@pytest.mark.parametrize("words", [words for words in _commands(typer.main.get_command(main.app)) if words], ids=" ".join)
def test_every_command_gives_json(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    run([*words, "--help"])
    shown = capsys.readouterr().out
    assert "--output" in shown or "COMMAND [ARGS]" in shown


def test_a_sparkline_spans_low_to_high_and_leaves_gaps() -> None:
    assert sparkline([1.0, None, 2.0, 3.0]) == "▁ ▅█"
    assert sparkline([2.0, 2.0]) == "▄▄"
    assert sparkline([]) == ""


def test_ages_are_short() -> None:
    assert age(NOW, NOW) == "0s"
    assert age(None, NOW) == "never"


def test_the_reference_is_that_of_the_commands() -> None:
    assert cli_docs.TARGET.read_text(encoding="utf-8") == cli_docs.render(), "run: python -m deploy.cli_docs"


def test_a_shell_can_complete_commands(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MUNBON_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "munbon rel")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit) as ended:
        run([])
    assert ended.value.code == exits.OK
    assert capfd.readouterr().out.split() == ["release"]


def test_bash_completes_with_the_script_that_is_shown() -> None:
    folder = Path(sys.executable).parent
    asked = [("munbon node", ""), ("munbon rollout start web@1.0.0", "--wa"), ("munbon status --output", "")]
    script = f"PATH={folder}:$PATH; source <(munbon --show-completion bash)\n"
    for words, last in asked:
        script += (
            f'COMP_WORDS=({words} "{last}"); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); _munbon_completion munbon; echo "${{COMPREPLY[@]}}"\n'
        )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["add label list show remove", "--wait", "table json"]
    assert done.stderr == ""


def test_the_environment_does_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in (config.CONFIG_VARIABLE, "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "expanduser", nowhere)
    with pytest.raises(UsageError, match="set HOME, or MUNBON_CONFIG"):
        config.active_context()
    monkeypatch.setenv("MUNBON_URL", "http://central")
    monkeypatch.setenv("MUNBON_TOKEN", "t")
    assert config.active_context() == config.Context(name="environment", url="http://central", token="t")
