"""nats-server as central's companion: started as its child, or adopted when an earlier central was killed and it lives on."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from central.bus import monitor, process
from central.bus.errors import PortTaken
from central.bus.process import ServerProcess
from central.bus.server_config import CENTRAL_USER, ServerConfig, render_config
from shared.backoff import full_jitter_s
from shared.clock import Clock
from shared.durable_file import read_optional, write_atomic
from shared.errors import Permanent, Retryable, UsageError
from shared.messaging.settings import BusSettings
from shared.observability import get_logger

_READY_LIMIT_S = 60.0
_RELOAD_LIMIT_S = 15.0
_STOP_LIMIT_S = 10.0
_POLL_S = 0.05
_STABLE_S = 60.0
_LOG_LINES = 5

_log = get_logger(__name__)


@dataclass(frozen=True)
class NatsServerSettings:
    """One server. `folder` holds its streams, configuration, log and central's password; it is readable by its owner only."""

    folder: Path
    server_name: str
    listen: str = "127.0.0.1:4222"

    @property
    def host(self) -> str:
        """Address part of `listen`."""
        return self.listen.rpartition(":")[0].strip("[]") or "127.0.0.1"

    @property
    def port(self) -> int:
        """Port part of `listen`.

        Raises:
            UsageError: it is no port.
        """
        text = self.listen.rpartition(":")[2]
        if not text.isdecimal() or not 0 < int(text) < 65_536:
            raise UsageError(f"{self.listen!r} is no address", subject="nats-listen", remedy="give it like 127.0.0.1:4222")
        return int(text)


class NatsServer:
    """From `start` to `stop`; `run` beside it restarts the server when it dies."""

    def __init__(self, settings: NatsServerSettings, nodes: Mapping[str, str], clock: Clock, draw: Callable[[], float]) -> None:
        self._settings = settings
        self._nodes = dict(nodes)
        self._clock = clock
        self._draw = draw
        self._binary = Path()
        self._process: ServerProcess | None = None
        self._lock: int | None = None
        self._monitor_port = 0
        self._changing = asyncio.Lock()
        self._stopping = False
        self.restarts = 0
        """How often it died and was started again."""

    @property
    def url(self) -> str:
        """Where clients of this machine connect."""
        host = self._settings.host
        name = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        return f"nats://{name}:{self._settings.port}"

    @property
    def monitor_port(self) -> int:
        """Port of its monitoring on 127.0.0.1."""
        return self._monitor_port

    @property
    def pid(self) -> int | None:
        """Process id, or None where it does not run."""
        return self._process.pid if self._process and self._process.is_alive else None

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self.pid is not None

    @property
    def is_adopted(self) -> bool:
        """Whether an earlier central started it."""
        return self._process is not None and self._process.is_adopted

    @property
    def log_file(self) -> Path:
        """The server's own log."""
        return self._settings.folder / "nats-server.log"

    def central_settings(self) -> BusSettings:
        """Central's login, once `start` has run."""
        password = self._password()
        return BusSettings(
            urls=(self.url,), user=CENTRAL_USER, password=SecretStr(password), name="munbon-central", inbox_prefix="_INBOX_central"
        )

    async def start(self) -> None:
        """Adopt our running server or start one, and wait until its streams are ready.

        Raises:
            PortTaken: somebody else listens there.
            UsageError: nats-server is missing or too old, or another central uses the folder.
            Permanent: nats-server refuses the configuration.
            Retryable: it does not get ready.
        """
        self._settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._take_lock()
        self._binary = process.find_binary()
        await process.check_version(self._binary)
        self._monitor_port = self._read_monitor_port()
        async with self._changing:
            await self._adopt_or_spawn()

    async def run(self) -> None:
        """Restart the server whenever it dies, with growing waits; until `stop`."""
        attempt = 0
        while not self._stopping:
            running = self._process
            if running is not None and running.is_alive:
                started_s = self._clock.monotonic_s()
                code = await running.wait()
                if self._is_stopping():
                    return
                _log.error("nats-server died", pid=running.pid, exit_code=code, log=str(self.log_file))
                attempt = 0 if self._clock.monotonic_s() - started_s > _STABLE_S else attempt
            await self._clock.sleep(full_jitter_s(attempt, self._draw(), base_s=0.5, cap_s=30.0))
            attempt += 1
            try:
                async with self._changing:
                    if not self._stopping:
                        await self._adopt_or_spawn()
                        self.restarts += 1
            except (Permanent, Retryable, OSError) as error:
                _log.error("nats-server does not start", error=str(error), attempt=attempt)

    async def set_nodes(self, nodes: Mapping[str, str]) -> None:
        """Let exactly these nodes in (bcrypt hash by node id); connected nodes whose entry stays are not disturbed. Safe to repeat.

        Raises:
            UsageError: a node id is none.
            Permanent: nats-server refuses the configuration; the old one stays in force.
            Retryable: it did not take the change in time.
        """
        async with self._changing:
            self._nodes = dict(nodes)
            if not await self._write_config() or not self.is_running:
                return
            await self._reload()

    async def stop(self) -> None:
        """End the server; what it holds stays on disk. Safe to repeat."""
        self._stopping = True
        if self._process is not None:
            await self._process.stop(_STOP_LIMIT_S)
        self.release()

    def release(self) -> None:
        """Give up the folder and leave the server running, as a killed central would."""
        self._stopping = True
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # ------------------------------------------------------------------------------------------------------ inside

    def _is_stopping(self) -> bool:
        return self._stopping

    @property
    def _config_file(self) -> Path:
        return self._settings.folder / "nats-server.conf"

    @property
    def _pid_file(self) -> Path:
        return self._settings.folder / "nats-server.pid"

    @property
    def _store_folder(self) -> Path:
        return self._settings.folder / "js"

    async def _adopt_or_spawn(self) -> None:
        found = ServerProcess.find(self._pid_file, self._config_file, self._clock)
        if found is not None and await self._adopt(found):
            return
        host, port = self._settings.host, self._settings.port
        try:
            is_free = monitor.is_port_free(host, port)
        except OSError as error:
            raise UsageError(
                f"cannot listen there: {error.strerror}", subject=self._settings.listen, remedy="choose another --nats-listen"
            ) from error
        if not is_free:
            owner = await monitor.describe_listener(host, port) or "a program that does not answer"
            raise PortTaken(
                f"port taken by {owner}",
                subject=self._settings.listen,
                remedy="stop it, choose another --nats-listen, or use it by --nats-url",
            )
        self._choose_monitor_port()
        await self._write_config()
        self._process = await ServerProcess.spawn(self._binary, self._config_file, self._settings.folder / "nats-server.out", self._clock)
        await self._wait_ready(self._process)
        _log.info("nats-server started", pid=self._process.pid, listen=self._settings.listen)

    async def _adopt(self, found: ServerProcess) -> bool:
        """Take over our own server; one that is ours but stuck, or listens elsewhere, is ended, so that a fresh one takes its place."""
        try:
            async with asyncio.timeout(_READY_LIMIT_S):
                facts = await monitor.read_facts(self._monitor_port)
                while facts is None and found.is_alive:
                    await self._clock.sleep(_POLL_S)
                    facts = await monitor.read_facts(self._monitor_port)
        except TimeoutError:
            facts = None
        if not found.is_alive:
            return False
        if facts is None or not self._is_ours(facts) or not self._listens_as_set():
            _log.warning("nats-server of an earlier start does not fit; ending it", pid=found.pid)
            await found.stop(_STOP_LIMIT_S)
            return False
        self._process = found
        await self._write_config()
        # also where the file did not change: the central that wrote it may have died before it could say so
        await self._reload()
        await self._wait_ready(found)
        _log.info("nats-server adopted", pid=found.pid, listen=self._settings.listen, version=facts.version)
        return True

    def _is_ours(self, facts: monitor.ServerFacts) -> bool:
        store = Path(facts.store_folder).resolve() if facts.store_folder else Path()
        return facts.server_name == self._settings.server_name and store.is_relative_to(self._store_folder.resolve())

    def _listens_as_set(self) -> bool:
        text = (read_optional(self._config_file) or b"").decode(errors="replace")
        return f'\nlisten: "{self._settings.host}:{self._settings.port}"\n' in text

    async def _wait_ready(self, running: ServerProcess) -> None:
        try:
            async with asyncio.timeout(_READY_LIMIT_S):
                while not await monitor.is_ready(self._monitor_port):
                    if not running.is_alive:
                        raise Retryable(f"nats-server ended at once: {self._last_log()}", subject=str(self.log_file))
                    await self._clock.sleep(_POLL_S)
        except TimeoutError as error:
            raise Retryable(
                f"nats-server is not ready after {_READY_LIMIT_S:g} s: {self._last_log()}", subject=str(self.log_file)
            ) from error

    async def _reload(self) -> None:
        digest = await process.check_config(self._binary, self._config_file)
        assert self._process is not None
        self._process.reload()
        try:
            async with asyncio.timeout(_RELOAD_LIMIT_S):
                while (facts := await monitor.read_facts(self._monitor_port)) is None or facts.config_digest != digest:
                    await self._clock.sleep(_POLL_S)
        except TimeoutError as error:
            raise Retryable(
                f"nats-server did not take its new configuration: {self._last_log()}", subject=str(self._config_file)
            ) from error

    async def _write_config(self) -> bool:
        """Write the configuration if it changed; True where it did. A refused one leaves the old file."""
        text = render_config(
            ServerConfig(
                server_name=self._settings.server_name,
                host=f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host,
                port=self._settings.port,
                monitor_port=self._monitor_port,
                store_folder=str(self._store_folder),
                log_file=str(self.log_file),
                pid_file=str(self._pid_file),
                central_password=self._password(),
                node_hashes=self._nodes,
            )
        ).encode()
        if read_optional(self._config_file) == text:
            return False
        draft = self._config_file.with_suffix(".new")
        write_atomic(draft, text, mode=0o600)
        await process.check_config(self._binary, draft)
        draft.replace(self._config_file)
        return True

    def _password(self) -> str:
        path = self._settings.folder / "central.password"
        content = read_optional(path)
        if content is None:
            content = secrets.token_urlsafe(32).encode()
            write_atomic(path, content, mode=0o600)
        return content.decode().strip()

    def _read_monitor_port(self) -> int:
        try:
            content = json.loads(read_optional(self._settings.folder / "monitor.json") or b"{}")
            return int(content.get("port", 0))
        except (ValueError, AttributeError, TypeError):
            return 0

    def _choose_monitor_port(self) -> None:
        if self._monitor_port == 0 or not monitor.is_port_free("127.0.0.1", self._monitor_port):
            self._monitor_port = monitor.pick_free_port()
        write_atomic(self._settings.folder / "monitor.json", json.dumps({"port": self._monitor_port}).encode())

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        descriptor = os.open(self._settings.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise UsageError(
                "another munbon-central uses this folder", subject=str(self._settings.folder), remedy="stop it, or give another --state-dir"
            ) from error
        self._lock = descriptor

    def _last_log(self) -> str:
        lines: list[str] = []
        for path in (self.log_file, self._settings.folder / "nats-server.out"):
            content = (read_optional(path) or b"").decode(errors="replace").splitlines()
            lines += [line for line in content if "[ERR]" in line or "[FTL]" in line or "nats-server:" in line][-_LOG_LINES:]
        return " | ".join(lines) or "its log says nothing"
