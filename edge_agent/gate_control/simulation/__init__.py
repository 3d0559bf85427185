"""Plants that stand for a canal, a harness that runs the whole loop on them, and a Modbus server that stands for its devices.

Takes: sites, plans, a plant, events; or geometry, a clock and a speed, faults to play.
Gives: `Plant`, the stable interface for plants of others; `canal_of`, an integrator-delay canal of any site; `SwmmCanal`, full
unsteady flow of the ASCE canals; `simulate`, which gives a `Run`; indicators and a drawing of a run; `SimulatedSite`, a real
Modbus TCP server.
May import: the rest of gate control, pymodbus, pyswmm (extra `sim`), `shared`.
Never: is imported by the gate, or shares an equation with its controller.
"""

from edge_agent.gate_control.simulation.asce_sites import target_plan
from edge_agent.gate_control.simulation.demands import DemandChange
from edge_agent.gate_control.simulation.events import (
    ActuatorFault,
    ClockStep,
    Command,
    Event,
    Handwheel,
    Kill,
    LinkCut,
    NewPlan,
    Restart,
    SensorFault,
    SensorTrouble,
    WriteFault,
    power_cut,
    put_in_service,
)
from edge_agent.gate_control.simulation.harness import START, simulate
from edge_agent.gate_control.simulation.indicators import Indicators, indicators, unsafe_events
from edge_agent.gate_control.simulation.integrator_delay import CanalSettings, canal_of
from edge_agent.gate_control.simulation.plant import (
    ActuatorTrouble,
    FaultyPlant,
    FlowingPlant,
    Lower,
    Plant,
    PlantCommand,
    Position,
    Raise,
    Sample,
    SpillingPlant,
    Stop,
    aim_pct,
)
from edge_agent.gate_control.simulation.run import AlarmRecord, CommandRecord, Run, Series
from edge_agent.gate_control.simulation.svg import draw_run

__all__ = [
    "START",
    "ActuatorFault",
    "ActuatorTrouble",
    "AlarmRecord",
    "CanalSettings",
    "ClockStep",
    "Command",
    "CommandRecord",
    "DemandChange",
    "Event",
    "FaultyPlant",
    "FlowingPlant",
    "Handwheel",
    "Indicators",
    "Kill",
    "LinkCut",
    "Lower",
    "NewPlan",
    "Plant",
    "PlantCommand",
    "Position",
    "Raise",
    "Restart",
    "Run",
    "Sample",
    "SensorFault",
    "SensorTrouble",
    "Series",
    "SpillingPlant",
    "Stop",
    "WriteFault",
    "aim_pct",
    "canal_of",
    "draw_run",
    "indicators",
    "power_cut",
    "put_in_service",
    "simulate",
    "target_plan",
    "unsafe_events",
]
