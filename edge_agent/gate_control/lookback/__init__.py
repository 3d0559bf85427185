"""Looking back: the journalled scans of a site decided again, to show, to compare and to explain.

Takes: the journal's file, also of a process that is dead or that runs beside.
Gives: the commands `munbon-gate replay`, `shadow` and `explain`.
May import: `gate_control.journal`, `gate_control.replay`, `gate_control.check`, `shared`.
Never: writes to the journal, asks a device, or moves a gate.
"""
