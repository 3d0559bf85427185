"""The real program on a real PostgreSQL."""

from pathlib import Path

import pytest

from deploy.harness.processes import program, run_program
from tests.fixtures_central import running_central
from tests.integration.central.test_whole_central import played_node, publish, roll_out

pytestmark = [pytest.mark.nats, pytest.mark.postgres]


async def test_central_works_on_postgresql_and_comes_back_after_a_kill(tmp_path: Path, postgres_database: str) -> None:
    async with running_central(tmp_path, nodes=["pi-1"], options=["--database-url", postgres_database]) as central:
        await publish(central, "weather", "1.0.0")
        await roll_out(central, "weather", "1.0.0")
        async with played_node(central, "pi-1") as node:
            await node.wait_for("weather", "1.0.0")
        await central.kill()
        await central.start()
        assert (await central.get("assignments"))[0]["version"] == "1.0.0"
        assert not (central.state_dir / "central.sqlite").exists()


async def test_a_database_that_another_fleet_uses_is_left_alone(tmp_path: Path, postgres_database: str) -> None:
    command = [*program("munbon-central"), "init", "--database-url", postgres_database]
    assert (await run_program([*command, "--state-dir", str(tmp_path / "a"), "--fleet", "khlong"]))[0] == 0
    code, _, errors = await run_program([*command, "--state-dir", str(tmp_path / "b"), "--fleet", "other"])
    assert code == 2
    assert "khlong" in errors
    assert list((tmp_path / "b").iterdir()) == []
