"""The program `munbon-central`: settings, state folder, and the task group that everything runs in.

Takes: command line, `<state>/central.toml`, environment, signals.
Gives: `main`; exit codes 0 ok, 1 failed, 2 usage or configuration, 3 port taken, 4 database unusable.
May import: every other folder of `central` but `cli` and `render`, `shared`, uvicorn, typer.
Never: decides what runs where; it only starts and stops those that do.
"""

from central.main.commands import main

__all__ = ["main"]
