"""What is amiss with actuators and settings beside control: told as alarms and in the journal, while control goes on."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from edge_agent.gate_control.check import site_rules, yaml_site
from edge_agent.gate_control.check.yaml_site import load_site, parse_site
from edge_agent.gate_control.console import read_apart
from edge_agent.gate_control.console.cli import run_command
from edge_agent.gate_control.loop.service import GateService
from edge_agent.gate_control.simulation.example import site_yaml
from shared.errors import UsageError
from tests.integration.gate.conftest import Bench, until

NO_REGISTER = 9_000


def change_actuator(bench: Bench, **changes: Any) -> None:
    """Of the only gate: each list of the example's file is a row of JSON an item."""
    config = bench.folder / "site.yaml"
    lines = config.read_text().splitlines()
    for number, line in enumerate(lines):
        if '"capacity_m3s"' in line:
            structure = json.loads(line.strip().removeprefix("- "))
            structure["gates"][0]["actuator"] |= changes
            lines[number] = f"  - {json.dumps(structure)}"
    config.write_text("\n".join(lines) + "\n")


async def records(bench: Bench, kind: str) -> list[dict[str, Any]]:
    found = (await bench.ask("journal.read", after=0, limit=1000)).data["records"]
    return [record for record in found if record["kind"] == kind]


async def test_a_heartbeat_that_the_actuator_does_not_take_is_an_alarm_and_control_goes_on(bench: Bench) -> None:
    change_actuator(bench, comms_lost={"heartbeat_register": NO_REGISTER})
    await bench.start()
    assert bench.service is not None
    await until(lambda: "g1/heartbeat_lost" in bench.service.conditions(), what="the condition")  # type: ignore[union-attr]
    assert bench.gate()["mode"] != "FAULT"


async def test_what_an_actuator_does_when_nobody_talks_to_it_is_journalled_with_what_cannot_be_read_back(bench: Bench) -> None:
    change_actuator(bench, comms_lost={"action": "stay", "timer_s": 25.0})
    await bench.start()

    async def told() -> bool:
        return bool(await records(bench, "actuator_checked"))

    await until(told, what="the record")
    [record] = await records(bench, "actuator_checked")
    assert record["gate"] == "g1"
    assert record["data"]["unverified"] == ["action 'stay' has no register"]
    assert any("timer" in line and "25" in line for line in record["data"]["written"])
    assert record["data"]["problems"] == []


async def test_a_pulse_that_the_output_module_did_not_end_is_told(bench: Bench) -> None:
    await bench.start()
    assert bench.field is not None
    bench.field.pulse_errors["g1"] = "pulse was not ended: no answer in 0.4 s"
    await bench.alarm("pulse_fault")
    del bench.field.pulse_errors["g1"]
    await bench.alarm("pulse_fault", raised=False)


async def test_a_site_with_mistakes_is_run_and_each_of_them_told(bench: Bench) -> None:
    config = bench.folder / "site.yaml"
    config.write_text(config.read_text().replace('"capacity_m3s": 8.0', '"capacity_m3s": 80.0'))
    given: list[list[str]] = []

    def run_site(site: Any, folder: Path, findings: Any) -> int:
        given.append([one.problem for one in findings])
        return 0

    assert run_command(["run", "--config", str(config)], run_site) == 0
    [problems] = given
    assert any("capacity_m3s 80" in problem for problem in problems)
    await bench.start(findings=problems)
    assert isinstance(bench.service, GateService)
    table = bench.status()["alarm_table"]
    assert [row["priority"] for row in table if row["key"] == "site/configuration_unsound"] == ["low"]
    assert bench.gate()["mode"] in ("AUTO", "HOLD")


def example_file(folder: Path) -> Path:
    path = folder / "site.yaml"
    path.write_text(site_yaml(site="north", state_dir="state", run_dir="run", port=502))
    return path


def test_a_check_that_breaks_off_or_hangs_holds_no_gate_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = example_file(tmp_path)
    monkeypatch.setattr(read_apart, "AT_MOST_S", 1)
    monkeypatch.setattr(site_rules, "check_site", lambda _site, _lines: signal.pause())
    assert read_apart.read_apart(path) == (load_site(path), ())
    monkeypatch.setattr(site_rules, "check_site", lambda _site, _lines: 1 / 0)
    assert read_apart.read_apart(path) == (load_site(path), ())


def test_a_site_that_another_process_reads_is_the_very_same(tmp_path: Path) -> None:
    path = example_file(tmp_path)
    site, _ = read_apart.read_apart(path)
    assert (site, site.model_dump_json()) == (load_site(path), load_site(path).model_dump_json())


def test_where_the_other_process_breaks_off_while_it_reads_the_site_is_read_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = example_file(tmp_path)
    here = os.getpid()

    def breaks_off(text: str, *, source: str) -> Any:
        if os.getpid() != here:
            os._exit(1)
        return parse_site(text, source=source)

    monkeypatch.setattr(yaml_site, "parse_site", breaks_off)
    assert read_apart.read_apart(path) == (load_site(path), ())


def test_a_file_that_is_no_site_is_refused_in_the_same_words(tmp_path: Path) -> None:
    path = example_file(tmp_path)
    path.write_text(path.read_text().replace("scan_period_s", "scan_periods"))
    with pytest.raises(UsageError) as told:
        load_site(path)
    with pytest.raises(UsageError) as found:
        read_apart.read_apart(path)
    assert str(found.value) == str(told.value)
