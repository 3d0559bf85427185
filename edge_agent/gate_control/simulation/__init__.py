"""Plants that stand for a canal, a harness that runs the whole loop on them, and a Modbus server that stands for its devices.

Takes: sites, plans, a plant, events; or geometry, a clock and a speed, faults to play.
Gives: `Plant`, the stable interface for plants of others; `canal_of`, an integrator-delay canal of any site; `SwmmCanal`, full
unsteady flow of the ASCE canals; `simulate`, which gives a `Run`; indicators and a drawing of a run; `SimulatedSite`, a real
Modbus TCP server.
May import: the rest of gate control, pymodbus, pyswmm (extra `sim`), `shared`.
Never: is imported by the gate, or shares an equation with its controller.
"""
