"""What people see: terminals of 80 columns, live views and Ctrl-C; and what the next program in a pipe gets."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import AbstractAsyncContextManager

import pytest

from deploy.harness.apps import CRASHING, LAST_WORDS, slow
from deploy.harness.processes import Child, program, run_program
from tests.integration.cli.conftest import Fleet
from tests.integration.cli.terminal import Terminal, in_terminal

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


def on_screen(fleet: Fleet, *words: str, columns: int = 80, **environment: str) -> AbstractAsyncContextManager[Terminal]:
    return in_terminal(*words, environment={"MUNBON_CONFIG": str(fleet.operator.config_file), **environment}, columns=columns)


async def test_every_view_fits_80_columns_with_what_matters_on_it(fleet: Fleet) -> None:
    await fleet.publish("narrow", "1.0.0")
    await fleet.publish("narrow", "1.1.0", behaviour=CRASHING)
    await fleet.operator.roll_out("narrow", "1.0.0", wait_s=60)
    await fleet.operator.try_run("rollout", "start", "narrow@1.1.0", "--wait", "--timeout", "60")
    wanted = {
        "node list": ["narrow@1.0.0 RolledBack", "Online"],
        "node show pi-north": ["CrashLoopBackOff,", "RolledBack", LAST_WORDS.split()[-1]],
        "app list narrow": ["present", "1.1.0"],
        "events pi-south --type ReleaseFailed": ["ReleaseFailed", "exit code 3"],
        "gate show north": ["LEVEL", "OPENING", "MODE", "QUALITY", "ALARMS"],
        "rollout history narrow": ["Failed", "0/2", "Succeeded"],
        "release list --app narrow": ["1.1.0", "dev-operator"],
        "status": ["narrow@1.0.0 RolledBack", "central "],
    }

    async def look(words: str) -> tuple[int, list[str]]:
        async with on_screen(fleet, *words.split()) as terminal:
            return await terminal.ended(), terminal.lines

    for words, expected in wanted.items():
        code, lines = await look(words)
        assert code == 0, lines
        assert max(map(len, lines)) <= 80, words
        shown = "\n".join(lines)
        assert [part for part in expected if part not in shown] == [], shown


async def test_a_rollout_is_drawn_as_it_goes(fleet: Fleet) -> None:
    await fleet.publish("drawn", "1.0.0", behaviour=slow(2.0))
    async with on_screen(fleet, "rollout", "start", "drawn@1.0.0", "--wait", "--timeout", "60") as terminal:
        await terminal.until("Progressing")
        assert await terminal.ended() == 0
        assert any("Running (0/2 ready" in line for line in terminal.lines)
        assert [line.split()[:3] for line in terminal.lines[-2:]] == [["pi-north", "Ready", "1.0.0"], ["pi-south", "Ready", "1.0.0"]]
        assert max(map(len, terminal.lines)) <= 80
        assert "\x1b[32m" in terminal.raw, "green is good"


async def test_ctrl_c_ends_a_wait_and_the_rollout_goes_on(fleet: Fleet) -> None:
    await fleet.publish("left", "1.0.0", behaviour=slow(2.0))
    async with on_screen(fleet, "rollout", "start", "left@1.0.0", "--wait") as terminal:
        await terminal.until("Progressing")
        terminal.press("\x03")
        assert await terminal.ended() == 130
        assert "Traceback" not in terminal.raw
    await fleet.world.until_phase("pi-south", "left", "Ready")


async def test_a_watched_status_is_left_with_ctrl_c(fleet: Fleet) -> None:
    async with on_screen(fleet, "status", "--watch") as terminal:
        await terminal.until("2/2 nodes online")
        terminal.press("\x03")
        assert await terminal.ended() == 130
        assert "Traceback" not in terminal.raw


async def test_a_question_in_a_terminal(fleet: Fleet) -> None:
    await fleet.publish_small("asked", "1.0.0")
    await fleet.operator.roll_out("asked", "1.0.0", wait_s=60)
    for keys, code in (("n\n", 1), ("\x03", 130), ("y\n", 0)):
        async with on_screen(fleet, "app", "remove", "asked") as terminal:
            await terminal.until("Delete all objects of asked from every node that has it? [y/N]:")
            terminal.press(keys)
            assert await terminal.ended() == code, terminal.raw
            (standing,) = await fleet.central.get("assignments", app="asked")
            assert standing["state"] == ("absent" if code == 0 else "present")


async def test_no_color_is_kept(fleet: Fleet) -> None:
    async with on_screen(fleet, "node", "list", NO_COLOR="1") as terminal:
        await terminal.ended()
        assert "\x1b[3" not in terminal.raw
        assert "pi-north  Online" in "\n".join(terminal.lines)


async def test_a_pipe_gets_whole_rows_without_colours(fleet: Fleet) -> None:
    await fleet.publish("piped", "1.0.0", behaviour=CRASHING)
    await fleet.operator.try_run("rollout", "start", "piped@1.0.0", "--wait", "--timeout", "60")
    with fleet.told(COLUMNS="", NO_COLOR="", TERM="xterm"):
        said = await fleet.says("node", "show", "pi-north")
    assert "\x1b" not in said
    (row,) = [line for line in said.splitlines() if line.startswith("piped ")]
    assert row.endswith(f"CrashLoopBackOff, container web, exit code 3: {LAST_WORDS}")


async def test_a_watched_status_and_followed_events_go_through_pipes_until_interrupted(fleet: Fleet) -> None:
    environment = {"MUNBON_CONFIG": str(fleet.operator.config_file)}
    watched = Child(
        "watch", [*program("munbon"), "status", "--watch", "-o", "json"], log=fleet.folder / "watch.log", environment=environment
    )
    told = Child("watch", [*program("munbon"), "status", "--watch"], log=fleet.folder / "told.log", environment=environment)
    followed = Child(
        "follow",
        [*program("munbon"), "events", "pi-south", "--follow", "-o", "json"],
        log=fleet.folder / "follow.log",
        environment=environment,
    )
    children = (watched, told, followed)
    await asyncio.gather(*(child.start() for child in children))
    try:
        await watched.wait_until(lambda: "\n" in watched.read_log(), what="a first status")
        await told.wait_until(lambda: "pi-south  Online" in told.read_log(), what="a first status for people")
        await fleet.publish_small("streamed", "1.0.0")
        await fleet.operator.roll_out("streamed", "1.0.0", wait_s=60)
        await watched.wait_until(lambda: '"streamed"' in watched.read_log(), what="the app in the status")
        await followed.wait_until(lambda: '"subject": "streamed"' in followed.read_log(), what="the event")
        for child in children:
            assert child.pid is not None
            os.kill(child.pid, 2)
        assert [await child.wait() for child in children] == [130, 130, 130]
    finally:
        await asyncio.gather(*(child.stop() for child in children))
    assert all(json.loads(line)["nodes_total"] == 2 for line in watched.read_log().splitlines())
    assert any(json.loads(line)["subject"] == "streamed" for line in followed.read_log().splitlines())


@pytest.mark.parametrize("words", ["events pi-north", "release list -o json", "--help"])
async def test_a_reader_that_goes_away_is_no_error(fleet: Fleet, words: str) -> None:
    script = (
        f'set -o pipefail; "$0" {words} | head -1 >/dev/null; echo "${{PIPESTATUS[0]}}"; "$0" {words} | true; echo "${{PIPESTATUS[0]}}"'
    )
    environment = {"MUNBON_CONFIG": str(fleet.operator.config_file)}
    _, output, errors = await run_program(["bash", "-c", script, *program("munbon")], environment=environment)
    assert (output.split(), errors) == (["0", "0"], "")


async def test_a_full_disk_is_told_in_one_line(fleet: Fleet) -> None:
    environment = {"MUNBON_CONFIG": str(fleet.operator.config_file)}
    for words in ("status", "status -o json"):
        code, _, errors = await run_program(["bash", "-c", f'"$0" {words} >/dev/full', *program("munbon")], environment=environment)
        assert code == 1
        assert "standard output: No space left on device" in errors
        assert len(errors.splitlines()) == 1


async def test_a_terminal_without_utf_8_shows_question_marks(fleet: Fleet) -> None:
    with fleet.told(PYTHONIOENCODING="ascii"):
        said = await fleet.says("gate", "show", "north")
    assert [line for line in said.splitlines() if line.startswith("g1 level ") and "??" in line]
