"""What each scan was decided from, kept small enough to keep it all, and decided again. Pure.

Takes: samples, times and what happened between scans; blocks of bytes that it made before.
Gives: quantised inputs, blocks, and what the decide code says to them today.
May import: `gate_control.decide`, `gate_control.validate`, `gate_control.model`.
Never: reads a clock, a file or a device.
"""
