"""Runs the real programs as child processes, for the scenario tests and the demo.

Takes: folders and names.
Gives: handles with addresses, logs, and `kill`, `stop`, `restart`; nothing is left after the parent's death.
May import: `shared`, httpx; it starts `munbon-central`, `munbon-agent`, `munbon-gate` and `munbon`, it never imports them.
Never: reaches into a program's memory or database.
"""
