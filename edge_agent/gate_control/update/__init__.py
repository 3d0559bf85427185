"""Updating the gate process itself: to another installed version, and back to the old one where the new one cannot scan.

Takes: a version's name, what `gate.sock`, the interlock file and systemd tell, the links and the record on disk.
Gives: the command `munbon-gate update`; links that at any moment name a version that is there; an exit code and words.
May import: `gate_control.console`, `gate_control.model`, `shared`.
Never: moves a gate, restarts the process while a gate moves or a flood alarm stands, or ends with a version that does not scan.
"""
