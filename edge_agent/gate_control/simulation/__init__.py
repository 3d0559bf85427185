"""Plants that stand for a canal, and a Modbus server that stands for its devices.

Takes: geometry, a clock and a speed, faults to play.
Gives: `Plant` and an integrator-delay canal; `SimulatedSite`, a real Modbus TCP server with the map of a Rotork IQ; a matching `gate.toml`.
May import: pymodbus, `shared`.
Never: is imported by the gate, or shares an equation with its controller.
"""
