"""The helpers that scenarios and the demo stand on, tried on the real programs."""

from pathlib import Path

import pytest

from deploy.harness.gate import running_gate
from deploy.harness.operator import Operator
from deploy.harness.processes import ProcessFailed
from tests.fixtures_central import running_central

pytestmark = pytest.mark.nats

MANIFEST = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  greeting: hello
"""


async def test_an_operator_publishes_and_rolls_out_with_the_real_command(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text(MANIFEST)
    operator = Operator(tmp_path / "laptop")
    async with running_central(tmp_path, nodes={"pi-north": {"canal": "north"}}) as central:
        await operator.log_in(central)
        released = await operator.publish(tmp_path / "app.yaml", "weather", "1.0.0")
        assert released["version"] == "1.0.0"
        rollout = await operator.roll_out("weather", "1.0.0", selector="canal=north")
        assert [row["node"] for row in rollout["nodes"]] == ["pi-north"]
        assert (await operator.status())["assignments"][0]["version"] == "1.0.0"
        refused = await operator.try_run("rollout", "start", "weather@9.9.9", "--selector", "")
        assert refused.exit_code == 4
        with pytest.raises(ProcessFailed, match="exit code 4"):
            await operator.run("release", "show", "weather@9.9.9")


async def test_a_gate_process_controls_its_simulated_site(tmp_path: Path) -> None:
    from shared.contracts.envelope import Role
    from shared.signing.dsse import make_trust_root
    from shared.signing.keys import generate_signer

    trust = make_trust_root({Role.GATE_PLAN: [generate_signer().public]})
    async with running_gate(tmp_path / "north", site="north", trust_root=trust.to_json()) as (site, gate):
        status = await gate.status()
        assert status.site == "north"
        assert set(status.gates) == {"g1"}
        interlock = gate.interlock()
        assert interlock is not None
        assert interlock.site == "north"
        await site.play("g1 stuck")
        await gate.kill()
        await gate.start()
        assert (await gate.stop()) == 0
