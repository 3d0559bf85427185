"""The names that plants of others import: one door, and it needs neither SWMM nor a Modbus server."""

from __future__ import annotations

import subprocess
import sys

from edge_agent.gate_control import simulation

NAMED = {"Plant", "Sample", "Position", "Raise", "Lower", "Stop", "simulate", "Run"}
EVENTS = {"Kill", "Restart", "ClockStep", "Command", "NewPlan", "LinkCut", "SensorFault", "ActuatorFault"}


def test_every_name_of_the_interface_is_there() -> None:
    assert set(simulation.__all__) >= NAMED | EVENTS
    assert all(hasattr(simulation, name) for name in simulation.__all__)


def test_the_interface_needs_no_simulator_and_no_modbus_library() -> None:
    program = (
        "import sys, edge_agent.gate_control.simulation\n"
        "sys.exit(', '.join(name for name in sys.modules if name.split('.')[0] in ('pyswmm', 'swmm', 'pymodbus')) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
