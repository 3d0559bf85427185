"""The scan, and the process around it.

Takes: settings, a clock, and the parts that sense, actuate, journal and listen.
Gives: one scan a period until told to stop; readiness and watchdog to systemd; a process that is the only one to actuate.
May import: all of `gate_control` but `main` and `simulation`, sdnotify, `shared`.
Never: waits for a disk or a client.
"""
