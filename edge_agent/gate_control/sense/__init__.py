"""Reads the devices of a site.

Takes: the configuration of a site.
Gives: samples of every point and of every fact of an actuator, with an error where a device said nothing or nonsense; units to write to.
May import: `gate_control.model`, `gate_control.wire`, `shared`.
Never: waits longer than it was told, raises for a device's fault, repeats a write, or writes on its own.
"""
