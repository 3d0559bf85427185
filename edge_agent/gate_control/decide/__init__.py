"""What each gate shall do now. Pure: state, readings, plan, limits and time in; state, commands and reasons out.

Takes: values of `model` and a GatePlan.
Gives: `decide` (site), `check_plan`, and the small laws that they stand on.
May import: `gate_control.model`, `shared.contracts`, data types of the standard library.
Never: reads a clock, a file or a device; never commands outside the owner's limits, whatever it is given.
"""
