"""Reads the devices of a site.

Takes: the settings of gates.
Gives: samples, one for each point, with an error where a device said nothing or nonsense; and links to the devices.
May import: pymodbus, `gate_control.model`, `shared`.
Never: waits longer than it was told, raises for a device's fault, or writes on its own.
"""
