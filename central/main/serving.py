"""Everything that runs in one task group, from the first socket to the last."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import random
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import uvicorn
from fastapi import FastAPI

from central.api.app import create_app
from central.api.dependencies import ApiDependencies, Check
from central.bus.keeper import BusKeeper
from central.identity.keys import load_identity
from central.main.bus_parts import BusServer, PortTaken, choose_server
from central.main.logs import configure_central_logging
from central.main.loops import Loops
from central.main.settings import CentralSettings, parse_listen
from central.main.state_dir import check_database_there, hold_state_dir
from central.main.supervisor import notify
from central.main.tasks import central_version
from central.store import blobs, gates, life, meta
from central.store.database import Database, Transaction
from central.store.feed import ChangeFeed
from shared.clock import Clock, SystemClock
from shared.errors import MunbonError, UsageError
from shared.observability import get_logger

KEEP_ALIVE_S = 75
"""An idle connection is kept longer than clients keep theirs (httpx 5 s): one that is closed as a request leaves is an error."""
STOP_REQUESTS_S = 2
"""How long running requests may take to end after a signal."""
HOUSEKEEPING_S = 3_600.0
KEEP_SAMPLES = timedelta(days=90)
KEEP_UNUSED_BLOBS = timedelta(days=1)
_LOG = get_logger("central.main")


class Stopped(Exception):
    """Ends the task group after a signal."""


def serve(state_dir: Path, settings: CentralSettings) -> int:
    """Run central until SIGTERM or SIGINT; gives the exit code.

    Raises:
        PortTaken, StoreUnavailable, StoreDamaged, UsageError: it cannot start; the message names the remedy.
    """
    configure_central_logging(settings.log_level)
    with hold_state_dir(state_dir):
        try:
            asyncio.run(run_central(state_dir.absolute(), settings, SystemClock()))
        except ExceptionGroup as group:
            error = _first(group)
            if isinstance(error, MunbonError):
                raise error from group
            _LOG.exception("central ends: something that it did not expect", error=repr(error))
            return 1
    return 0


async def run_central(state_dir: Path, settings: CentralSettings, clock: Clock) -> None:
    """From opening the API's port to closing the database."""
    stopping = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.enter_context(_signals_set(stopping))
        # first what needs no undoing: nothing is started for a central that nodes would not believe
        signer, trust_root = load_identity(state_dir)
        check_database_there(state_dir, settings)
        listener = stack.enter_context(contextlib.closing(bind_api(settings.listen)))
        database = await asyncio.to_thread(Database.open, settings.database(state_dir))
        stack.push_async_callback(database.close)
        known = await database.read(meta.read_meta)
        # before anybody can act: what operators do from now on outranks what an older copy may have forgotten
        await database.run(life.begin_life)
        server = choose_server(settings, state_dir, known.instance_id, database, clock, random.Random().random)
        stack.push_async_callback(server.stop)
        if not await _start_or_stop(server, stopping):
            return
        keeper = BusKeeper(server.login(), clock, random.Random().random, denied_remedy=server.denied_remedy)
        feed = ChangeFeed()
        loops = Loops.make(database, feed, keeper, signer, trust_root, clock)
        dependencies = ApiDependencies(
            database=database,
            feed=feed,
            clock=clock,
            trust_root=trust_root,
            access=server,
            courier=loops.courier,
            fleet=known.fleet,
            version=central_version(),
            nats_url=settings.nats_url,
            new_id=lambda: uuid4().hex[:16],
            stopping=stopping,
            checks=lambda: (server.check(), Check("bus", keeper.is_ready, keeper.problem)),
        )
        api = QuietServer(_uvicorn_config(create_app(dependencies)))
        try:
            await _run_together(server, keeper, loops, api, listener, database, clock, stopping)
        except* Stopped:
            _LOG.info("stopped")


async def _run_together(
    server: BusServer,
    keeper: BusKeeper,
    loops: Loops,
    api: QuietServer,
    listener: socket.socket,
    database: Database,
    clock: Clock,
    stopping: asyncio.Event,
) -> None:
    # what exists now lives as long as the process: the garbage collector need not look at it again and again
    gc.collect()
    gc.freeze()
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run(), name="nats-server")
        group.create_task(keeper.run(), name="bus session")
        for name, run in loops.runs():
            group.create_task(run, name=name)
        group.create_task(_keep_house(database, clock), name="housekeeping")
        group.create_task(_serve_api(api, listener), name="api")
        host, port = listener.getsockname()[:2]
        _LOG.info("central serves", api=f"http://{host}:{port}", version=central_version(), process=os.getpid())
        notify("READY=1")
        await stopping.wait()
        notify("STOPPING=1")
        _LOG.info("stopping")
        api.should_exit = True


async def _serve_api(api: QuietServer, listener: socket.socket) -> None:
    await api.serve(sockets=[listener])
    raise Stopped


async def _start_or_stop(server: BusServer, stopping: asyncio.Event) -> bool:
    """Start the bus; False where a signal came first."""
    start, stop = asyncio.create_task(server.start()), asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait((start, stop), return_when=asyncio.FIRST_COMPLETED)
        if start.done():
            await start
        return start.done()
    finally:
        for task in (start, stop):
            task.cancel()
        await asyncio.gather(start, stop, return_exceptions=True)


async def _keep_house(database: Database, clock: Clock) -> None:
    """Once an hour throw away what nobody will ask for; an error is told and tried again."""
    while True:
        now = clock.wall()
        try:
            unused, samples = await database.run(_old_things(now))
            if unused or samples:
                _LOG.info("kept house", unused_blobs=unused, old_samples=samples)
        except MunbonError as error:
            _LOG.warning("housekeeping failed, it is tried again in an hour", error=str(error))
        await clock.sleep(HOUSEKEEPING_S)


def _old_things(now: datetime) -> Callable[[Transaction], tuple[int, int]]:
    return lambda tx: (blobs.delete_unused_blobs(tx, now - KEEP_UNUSED_BLOBS), gates.prune_samples(tx, now - KEEP_SAMPLES))


class QuietServer(uvicorn.Server):
    """uvicorn without hands on our signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _uvicorn_config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_REQUESTS_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )


def bind_api(listen: str) -> socket.socket:
    """The API's socket.

    Raises:
        PortTaken: somebody else listens there.
        UsageError: the address is none of this machine's, or a port below 1024 without the right to it.
    """
    host, port = parse_listen(listen, name="listen")
    listener: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(256)
    except OSError as error:
        if listener is not None:
            listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                "port taken by another program",
                subject=listen,
                remedy=f"find it with: ss -ltnp 'sport = :{port}'; or choose another --listen",
            ) from error
        raise UsageError(f"cannot listen there: {error.strerror or error}", subject=listen, remedy="choose another --listen") from error
    return listener


@contextlib.contextmanager
def _signals_set(stopping: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, stopping.set)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """The one error that a user should read: ours before any other."""
    own = group.subgroup(MunbonError)
    error: Exception = own or group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


__all__ = ["PortTaken", "QuietServer", "bind_api", "run_central", "serve"]
