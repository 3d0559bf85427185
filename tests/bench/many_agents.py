"""Many real agents in one process: `python -m tests.bench.many_agents AGENT_TOML ...`; each with its own state, link and cluster."""

import asyncio
import random
import secrets
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edge_agent.main.service import Agent
from edge_agent.main.settings import load_agent_settings, load_trust_root
from edge_agent.store.state import FolderLock, StateStore
from shared.clock import SystemClock
from shared.observability import configure_logging

PAUSE_S = 0.05
"""Between two starts."""


def open_agent(config: Path, stack: ExitStack) -> Agent:
    """One agent over its own state, which the stack closes."""
    settings, clock = load_agent_settings(config), SystemClock()
    lock = FolderLock(settings.state_dir)
    lock.acquire()
    stack.callback(lock.release)
    store = StateStore.open(settings.state_dir, settings.node, clock, lambda: secrets.token_hex(16), agent_version="bench")
    stack.callback(store.close)
    return Agent(settings, load_trust_root(settings.trust_root), store, clock, random.random, lambda _: None)


async def run(configs: list[Path]) -> None:
    """All of them, until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    with ExitStack() as stack:
        agents: list[Agent] = []
        running: list[asyncio.Task[Any]] = []
        for config in configs:
            agents.append(open_agent(config, stack))
            running.append(asyncio.create_task(agents[-1].run()))
            await asyncio.sleep(PAUSE_S)
        await asyncio.wait({*running, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        for agent in agents:
            agent.stop.set()
        await asyncio.gather(*running)


if __name__ == "__main__":
    configure_logging("munbon-agents", level="warning")
    asyncio.run(run([Path(each) for each in sys.argv[1:]]))
