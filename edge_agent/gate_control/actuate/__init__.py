"""Writes positions to actuators.

Takes: commands and something that writes registers.
Gives: what became of each command.
May import: `gate_control.model`, `shared`.
Never: repeats a write, sends pulses or increments, or decides.
"""
