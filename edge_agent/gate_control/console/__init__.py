"""The gate's local door: `gate.sock`, the plans that come through it, and the commands of `munbon-gate` that ask it.

Takes: requests of allowed users of this machine (peer credentials), signed plans and commands.
Gives: status, alarms, the plan in force, journal pages; commands for the scan, and its answers; refusals with a reason.
May import: `gate_control.check`, `gate_control.decide`, `gate_control.model`, `shared`.
Never: lets a client hold up the loop, moves a gate itself, or widens a limit.
"""
