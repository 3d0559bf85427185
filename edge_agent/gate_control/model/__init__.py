"""What gate control speaks of: the site as configured, and the values that pass from step to step. Pure.

Takes: nothing.
Gives: settings of a site (pydantic) and frozen values: samples, readings, states, commands, decisions.
May import: pydantic, `shared.contracts`, data types of the standard library.
Never: reads a clock, a file or a device.
"""
