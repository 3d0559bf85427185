"""A daemon thread for work that may hang on a disk: nothing else hangs with it, and it never holds up the end of the process."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from shared.errors import Retryable

T = TypeVar("T")
MAX_WAITING = 64


class DiskBusy(Retryable):
    """Too much waits for the disk already."""


class DiskThread:
    """Runs one piece of work after the other."""

    def __init__(self, name: str) -> None:
        self._work: queue.Queue[tuple[Callable[[], Any], Future[Any]]] = queue.Queue(MAX_WAITING)
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Queue `work`.

        Raises:
            DiskBusy: the queue is full.
        """
        future: Future[T] = Future()
        try:
            self._work.put_nowait((work, future))
        except queue.Full as error:
            raise DiskBusy("too much waits for the disk") from error
        return future

    async def run(self, work: Callable[[], T]) -> T:
        """Result of `work`; cancelling the wait leaves the work alone."""
        return await asyncio.wrap_future(self.submit(work))

    def _run(self) -> None:
        while True:
            work, future = self._work.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - the waiter gets it; this thread must outlive every piece of work
                future.set_exception(error)
