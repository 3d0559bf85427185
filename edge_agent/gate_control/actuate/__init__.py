"""Carries commands to actuators, each written once.

Takes: commands, measured openings, and something that reads and writes registers.
Gives: what became of each command; whether actuators will do the right thing when we fall silent; a heartbeat.
May import: `gate_control.model`, `gate_control.wire`, the actuator tables of `gate_control.decide.hydraulics`, `shared`.
Never: repeats a write that failed, decides, or lets a command wait behind one that is late.
"""
