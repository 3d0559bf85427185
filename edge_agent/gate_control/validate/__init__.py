"""Samples to readings: what of that which devices say can be believed, and how far. Pure.

Takes: the configuration, histories of the scan before, samples, the time, flows as control knows them.
Gives: histories for the next scan, and a reading for each point, each fact of an actuator and each pool end with sensors.
May import: `gate_control.model`, data types of the standard library.
Never: makes a good reading out of doubt, uses a sample twice, or raises for anything that a device can say.
"""

from edge_agent.gate_control.validate.site import validate_samples

__all__ = ["validate_samples"]
