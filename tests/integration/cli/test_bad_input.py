"""Wrong words to the real `munbon` against a real central: a clear error, the documented exit code, and nothing changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from deploy.harness.central import CentralHandle, running_central
from deploy.harness.operator import Operator

pytestmark = pytest.mark.asyncio(loop_scope="module")
_CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {greeting: %s}\n"
_SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\nstringData: {password: x}\n"


class Scene:
    """One central with one node and one release, and its operator."""

    def __init__(self, central: CentralHandle, operator: Operator, folder: Path) -> None:
        self.central, self.operator, self.folder = central, operator, folder

    def write(self, name: str, content: str) -> str:
        path = self.folder / name
        path.write_text(content)
        return str(path)

    async def stands(self) -> Any:
        return [await self.central.get(path) for path in ("releases", "audit", "assignments")]

    async def refuses(self, words: list[str], exit_code: int, said: str) -> None:
        before = await self.stands()
        outcome = await self.operator.try_run(*words)
        assert (outcome.exit_code, outcome.output) == (exit_code, ""), outcome
        assert said in outcome.errors
        first, *findings = outcome.errors.splitlines()
        assert first.startswith("munbon: ")
        assert all(line.startswith("  ") for line in findings), "below the one line only the mistakes of a bundle, one each"
        assert await self.stands() == before


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("cli")
    async with running_central(folder, nodes=["pi-north"]) as central:
        operator = Operator(folder / "operator")
        await operator.log_in(central)
        scene = Scene(central, operator, folder)
        await operator.publish(Path(scene.write("good.yaml", _CONFIG_MAP % "one")), "web", "1.0.0")
        yield scene


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        ("release show nothing@1.0.0", 4, "nothing"),
        ("release show web@9.9.9", 4, "9.9.9"),
        ("rollout start web@9.9.9 --selector site=x", 4, "9.9.9"),
        ("app pause nothing", 4, "nothing"),
        ("node show pi-nowhere", 4, "pi-nowhere"),
        ("node label pi-nowhere site=x", 4, "pi-nowhere"),
        ("node add Pi_North", 2, "Pi_North"),
    ],
)
async def test_unknown_and_ill_formed_names(scene: Scene, words: str, exit_code: int, said: str) -> None:
    await scene.refuses(words.split(), exit_code, said)


@pytest.mark.parametrize(
    ("content", "exit_code", "said"),
    [
        (_CONFIG_MAP % "two", 3, "1.0.0"),
        ("", 2, ""),
        ("a: [1,", 2, "input.yaml"),
        (_SECRET, 2, "Secret"),
        (_CONFIG_MAP % "a" + "---\n" + _CONFIG_MAP % "b", 2, "web"),
    ],
    ids=["immutable", "empty", "broken", "secret", "duplicate"],
)
async def test_bad_bundles(scene: Scene, content: str, exit_code: int, said: str) -> None:
    path = scene.write("input.yaml", content)
    await scene.refuses(["release", "publish", path, "--app", "web", "--version", "1.0.0"], exit_code, said)


async def test_a_wrong_token_is_not_authorised(scene: Scene) -> None:
    scene.operator.environment = {**scene.operator.environment, "MUNBON_TOKEN": "wrong"}
    try:
        await scene.refuses(["status"], 6, "munbon login")
    finally:
        scene.operator.environment = {**scene.operator.environment, "MUNBON_TOKEN": ""}
