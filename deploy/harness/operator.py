"""An operator at a laptop: the real `munbon` with a configuration of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.harness.central import CentralHandle
from deploy.harness.processes import ProcessFailed, program, run_program

_PLAIN = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"}


@dataclass(frozen=True)
class Outcome:
    """How one command ended."""

    command: str
    exit_code: int
    output: str
    errors: str

    def json(self) -> Any:
        """Its output as JSON.

        Raises:
            ProcessFailed: it is none.
        """
        try:
            return json.loads(self.output)
        except ValueError as error:
            raise ProcessFailed(f"no JSON in its output: {self.output[:500]!r} {self.errors[:500]!r}", subject=self.command) from error


class Operator:
    """Runs `munbon` commands; nothing of the person's own configuration is read or written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.config_file = self.folder / "config.toml"
        own = {name: "" for name in os.environ if name.startswith("MUNBON_")}
        self.environment: Mapping[str, str] = {**own, **_PLAIN, "MUNBON_CONFIG": str(self.config_file)}

    async def log_in(self, central: CentralHandle, *, name: str = "default") -> None:
        """`munbon login` with the development token and key."""
        secrets = ["--token-file", str(central.token_file), "--key", str(central.operator_key_file)]
        await self.run("login", central.url, *secrets, "--name", name)

    async def try_run(self, *words: str, timeout_s: float = 120.0, stdin: bytes = b"") -> Outcome:
        """One command, however it ends; `stdin` answers its questions."""
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = {name: value for name, value in self.environment.items() if value}
        clear = [name for name, value in self.environment.items() if not value]
        command = ["env", *(f"--unset={name}" for name in clear), *program("munbon"), *words] if clear else [*program("munbon"), *words]
        code, output, errors = await run_program(command, timeout_s=timeout_s, environment=environment, stdin=stdin)
        return Outcome(" ".join(("munbon", *words)), code, output, errors)

    async def run(self, *words: str, timeout_s: float = 120.0) -> Outcome:
        """One command that must end well.

        Raises:
            ProcessFailed: its exit code is not 0; with its words.
        """
        outcome = await self.try_run(*words, timeout_s=timeout_s)
        if outcome.exit_code != 0:
            raise ProcessFailed(
                f"exit code {outcome.exit_code}: {outcome.errors.strip() or outcome.output.strip()}", subject=outcome.command
            )
        return outcome

    async def ask(self, *words: str, timeout_s: float = 120.0) -> Any:
        """One command with `-o json`, as data."""
        return (await self.run(*words, "-o", "json", timeout_s=timeout_s)).json()

    async def publish(self, path: Path, app: str, version: str, *options: str) -> Any:
        """`munbon release publish`: the release's view."""
        return await self.ask("release", "publish", str(path), "--app", app, "--version", version, *options)

    async def roll_out(self, app: str, version: str, *, selector: str = "", wait_s: float | None = None) -> Any:
        """`munbon rollout start`: the rollout's view, at its end where `wait_s` is given.

        Raises:
            ProcessFailed: it failed (exit code 7) or took longer (8).
        """
        wait = ["--wait", "--timeout", str(wait_s)] if wait_s is not None else []
        return await self.ask("rollout", "start", f"{app}@{version}", "--selector", selector, *wait, timeout_s=(wait_s or 60.0) + 30.0)

    async def status(self) -> Any:
        """`munbon status`: the fleet's view."""
        return await self.ask("status")
