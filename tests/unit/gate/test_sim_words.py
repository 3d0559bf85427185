"""Faults that a person plays on the simulated site's standard input, and how they end."""

import pytest

from edge_agent.gate_control.check.yaml_site import parse_site
from edge_agent.gate_control.simulation.__main__ import play
from edge_agent.gate_control.simulation.device_faults import DeviceFault, PointFault
from edge_agent.gate_control.simulation.devices import SimulatedDevices
from edge_agent.gate_control.simulation.example import example_canal, site_yaml
from edge_agent.gate_control.simulation.plant import ActuatorTrouble
from tests.fakes.fake_clock import FakeClock


@pytest.mark.parametrize("word", [*ActuatorTrouble, *DeviceFault, *PointFault])
def test_clear_ends_each_fault_that_a_word_begins(word: str) -> None:
    site, _ = parse_site(site_yaml(site="north", state_dir="state", run_dir="run", port=15020, gates=("g1",)), source="the example")
    canal = example_canal(("g1",))
    devices = SimulatedDevices(site, canal, FakeClock())

    def faults() -> set[str]:
        points = devices._point_faults
        found = {*canal.actuators["g1"].troubles, *devices.faults_of("g1"), *points.get("g1-level", ())}
        return {str(each) for each in found}

    play(devices, canal, f"g1 {word}")
    assert str(word) in faults()
    play(devices, canal, "g1 clear")
    assert faults() == set()
