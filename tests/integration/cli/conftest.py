"""One fleet for all of these tests: a real central, `pi-north` with a gate, `pi-south` without, and the operator's `munbon`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from deploy.harness.apps import GOOD, Behaviour, Manifest, config_map, web_app
from deploy.harness.central import CentralHandle
from deploy.harness.operator import Operator, Outcome
from deploy.harness.world import NodePlan, World, open_world


@dataclass
class Fleet:
    """The world as these tests use it."""

    world: World
    folder: Path

    @property
    def central(self) -> CentralHandle:
        return self.world.central

    @property
    def operator(self) -> Operator:
        return self.world.operator

    def write(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def write_objects(self, name: str, objects: Sequence[Manifest]) -> Path:
        return self.write(name, yaml.safe_dump_all(objects, sort_keys=False))

    async def publish(self, app: str, *versions: str, behaviour: Behaviour = GOOD) -> None:
        """Releases with a Deployment that behaves in this way."""
        for version in versions:
            await self.operator.publish(self.write_objects(f"{app}-{version}.yaml", web_app(app, version, behaviour)), app, version)

    async def publish_small(self, app: str, *versions: str) -> None:
        """Releases with one ConfigMap: ready at once."""
        for version in versions:
            await self.operator.publish(self.write_objects(f"{app}-{version}.yaml", [config_map(app, {"v": version})]), app, version)

    @contextmanager
    def told(self, **environment: str) -> Iterator[None]:
        """Commands within the block find these in their environment."""
        usual = self.operator.environment
        self.operator.environment = {**usual, **environment}
        try:
            yield
        finally:
            self.operator.environment = usual

    async def says(self, *words: str) -> str:
        """What a command that must end well tells people."""
        return (await self.operator.run(*words)).output

    async def stands(self) -> Any:
        """All that an operator can change at central."""
        return [await self.central.get(path) for path in ("releases", "audit", "assignments")]

    async def refuses(self, words: Sequence[str], exit_code: int, *said: str) -> None:
        """The command ends with this code and one line that says this; nothing changed."""
        await self.refuses_each([(words, exit_code, *said)])

    async def refuses_each(self, cases: Iterable[tuple[Any, ...]]) -> None:
        """As `refuses`, for (words, exit code, what is said): two at a time, for a command takes its half second."""
        before = await self.stands()
        at_once = asyncio.Semaphore(2)

        async def run(words: Sequence[str]) -> Outcome:
            async with at_once:
                return await self.operator.try_run(*words)

        cases = list(cases)
        outcomes = await asyncio.gather(*(run(case[0].split() if isinstance(case[0], str) else case[0]) for case in cases))
        for (_, exit_code, *said), outcome in zip(cases, outcomes, strict=True):
            assert (outcome.exit_code, outcome.output) == (exit_code, ""), outcome
            assert [part for part in said if part not in outcome.errors] == [], outcome
            first, *findings = outcome.errors.splitlines()
            assert first.startswith("munbon"), outcome
            assert all(line.startswith("  ") for line in findings), "below the one line only the mistakes of a bundle, one each"
        assert await self.stands() == before


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    folder = tmp_path_factory.mktemp("cli")
    plans = {
        "pi-north": NodePlan("memory", {"site": "north", "canal": "main"}, has_gate=True, site="north"),
        "pi-south": NodePlan("memory", {"site": "south", "canal": "main"}),
    }
    async with open_world(folder / "world", plans) as world:
        for name in plans:
            await world.until_online(name)
        yield Fleet(world, folder)


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def tidy(fleet: Fleet) -> AsyncIterator[None]:
    """What one module rolled out is not in the way of the next."""
    yield
    for app in {each["app"] for each in await fleet.central.get("assignments") if each["state"] != "absent"}:
        await fleet.central.request("POST", f"apps/{app}/remove", body={})
