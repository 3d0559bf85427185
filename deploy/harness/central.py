"""The real `munbon-central`, made by `init` and run by `serve` as a child process."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from deploy.harness.processes import Child, ProcessFailed, free_port, program, run_program
from deploy.harness.reaper import kill_users_of
from shared.clock import SystemClock
from shared.contracts.api import API_PREFIX, NodeEnrolment
from shared.contracts.base import Contract
from shared.signing.keys import Signer, load_signer

READY_S = 60.0
POLL_S = 0.1


@dataclass
class CentralHandle:
    """A running central and what is needed to work with it."""

    state_dir: Path
    url: str
    nats_url: str
    token: str
    process: Child
    enrolments: dict[str, NodeEnrolment] = field(default_factory=dict)
    _client: httpx.AsyncClient | None = None

    @property
    def operator_key_file(self) -> Path:
        """Development key: signs releases and gate plans."""
        return self.state_dir / "dev-operator" / "operator.key"

    @property
    def token_file(self) -> Path:
        """File with the development token."""
        return self.state_dir / "dev-operator" / "token"

    @property
    def operator_key(self) -> Signer:
        """The development key itself."""
        return load_signer(self.operator_key_file)

    @property
    def trust_root_file(self) -> Path:
        """What `init` wrote; nodes get the same."""
        return self.state_dir / "trust-root.json"

    @property
    def nats_port(self) -> int:
        """Port of its nats-server."""
        return int(self.nats_url.rsplit(":", 1)[1])

    @property
    def client(self) -> httpx.AsyncClient:
        """HTTP with the token; paths are relative to /v1."""
        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=f"{self.url}{API_PREFIX}/", headers={"Authorization": f"Bearer {self.token}"}, timeout=30.0, trust_env=False
            )
        return self._client

    async def get(self, path: str, **params: Any) -> Any:
        """JSON of a GET; raises with the problem's words on an error."""
        return await self.request("GET", path, params=params)

    async def request(self, method: str, path: str, *, body: Contract | Mapping[str, Any] | None = None, **options: Any) -> Any:
        """JSON of any request.

        Raises:
            ProcessFailed: central refused; with its words.
        """
        content = body.to_json() if isinstance(body, Contract) else body
        answer = await self.client.request(method, path.lstrip("/"), json=content, **options)
        if answer.is_error:
            raise ProcessFailed(f"{method} {path}: {answer.status_code} {answer.text}", subject="central")
        return answer.json() if answer.content else None

    async def add_node(self, node: str, labels: Mapping[str, str] | None = None, *, replace: bool = False) -> NodeEnrolment:
        """Enrol a node; its credentials are also in `enrolments`."""
        body = {"node": node, "labels": dict(labels or {})}
        answer = await self.request("POST", "nodes", body=body, params={"replace": "true"} if replace else {})
        self.enrolments[node] = NodeEnrolment.model_validate(answer)
        return self.enrolments[node]

    async def wait_ready(self, timeout_s: float = READY_S) -> None:
        """Wait until `/readyz` says so.

        Raises:
            ProcessFailed: it ended, or was not ready in time; with the checks that failed and the end of the log.
        """
        clock, said = SystemClock(), "no answer"
        until_s = clock.monotonic_s() + timeout_s
        async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
            while clock.monotonic_s() < until_s:
                if not self.process.is_running:
                    raise ProcessFailed(f"ended with {self.process.exit_code}; log:\n{self.process.log_tail()}", subject="munbon-central")
                with contextlib.suppress(httpx.TransportError):
                    answer = await client.get(f"{self.url}/readyz")
                    if answer.status_code == 200:
                        return
                    said = answer.text
                await clock.sleep(POLL_S)
        raise ProcessFailed(f"not ready within {timeout_s:.0f} s: {said}; log:\n{self.process.log_tail()}", subject="munbon-central")

    async def start(self) -> None:
        """Start it (after `stop` or `kill`) and wait until it is ready."""
        await self.process.start()
        await self.wait_ready()

    async def stop(self) -> int | None:
        """SIGTERM; its nats-server stops as well. Gives the exit code."""
        return await self.process.stop()

    async def kill(self) -> None:
        """SIGKILL for central alone: its nats-server lives on and is adopted by the next `start`."""
        await self.process.kill()

    async def restart(self) -> None:
        """Stop cleanly and start."""
        await self.stop()
        await self.start()

    @property
    def nats_pid(self) -> int | None:
        """Process id of its nats-server, found by its command line."""
        found = [
            pid
            for pid, words in _processes()
            if "nats-server" in Path(words[0]).name and any(str(self.state_dir) in word for word in words)
        ]
        return found[0] if found else None

    async def close(self) -> None:
        """Stop everything; what does not stop is killed."""
        if self._client is not None:
            await self._client.aclose()
        await self.process.stop()
        kill_users_of(str(self.state_dir))


async def init_central(state_dir: Path, *, fleet: str = "test", options: Iterable[str] = ()) -> tuple[int, int]:
    """Run the real `munbon-central init` with free ports; gives (API port, NATS port).

    Raises:
        ProcessFailed: it did not end with 0.
    """
    port, nats_port = free_port(), free_port()
    command = [*program("munbon-central"), "init", "--state-dir", str(state_dir), "--fleet", fleet]
    addresses = ["--listen", f"127.0.0.1:{port}", "--nats-listen", f"127.0.0.1:{nats_port}"]
    code, output, errors = await run_program([*command, *addresses, *options])
    if code != 0:
        raise ProcessFailed(f"init ended with {code}: {output}{errors}", subject="munbon-central")
    return port, nats_port


@asynccontextmanager
async def running_central(
    folder: Path, *, nodes: Mapping[str, Mapping[str, str]] | Iterable[str] = (), fleet: str = "test", options: Iterable[str] = ()
) -> AsyncIterator[CentralHandle]:
    """`init` and `serve` in `folder/central`, with these nodes enrolled. All of it ends with the block.

    Args:
        folder: empty folder for state and log.
        nodes: names, or names with labels.
        fleet: name of the fleet.
        options: further options of `init`, for example `--database-url`.
    """
    state_dir = (folder / "central").absolute()
    async with reaper(state_dir):
        port, nats_port = await init_central(state_dir, fleet=fleet, options=options)
        command = [*program("munbon-central"), "serve", "--state-dir", str(state_dir)]
        handle = CentralHandle(
            state_dir=state_dir,
            url=f"http://127.0.0.1:{port}",
            nats_url=f"nats://127.0.0.1:{nats_port}",
            token=(state_dir / "dev-operator" / "token").read_text().strip(),
            process=Child("munbon-central", command, log=folder / "central.log"),
        )
        try:
            await handle.start()
            labelled = nodes if isinstance(nodes, Mapping) else {name: {} for name in nodes}
            for name, labels in labelled.items():
                await handle.add_node(name, labels)
            yield handle
        finally:
            await handle.close()


@asynccontextmanager
async def reaper(folder: Path) -> AsyncIterator[None]:
    """While the block runs, another process watches that nothing that names `folder` outlives this one."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy.harness.reaper",
        str(folder),
        stdin=asyncio.subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
        start_new_session=True,
    )
    try:
        yield
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


def _processes() -> list[tuple[int, list[str]]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                words = [word.decode("utf-8", "replace") for word in (entry / "cmdline").read_bytes().split(b"\0") if word]
                if words:
                    found.append((int(entry.name), words))
    return found
