"""What the process that controls loads and what not, in a fresh interpreter: this one has imported everything already."""

import json
import subprocess
import sys
from pathlib import Path

LOADED = """
import json, sys
sys.argv = ["munbon-gate", "run", "--config", "/nowhere/site.yaml"]
from edge_agent.gate_control.main import main
try:
    main()
except SystemExit:
    pass
import edge_agent.gate_control.loop.service
print(json.dumps(sorted(name for name, module in sys.modules.items() if module is not None)))
"""
HEAVY = {"ssl", "_ssl", "_hashlib", "email", "zipfile", "http", "xml", "multiprocessing", "rich", "typer", "click", "colorama"}
OF_OTHERS = {"pymodbus", "serial", "pyswmm", "nats", "kubernetes_asyncio", "aiohttp", "httpx", "sqlalchemy", "fastapi", "cryptography"}
NOT_IN_CONTROL = ("lookback", "update", "simulation", "console.cli_act", "console.cli_plan", "console.cli_show", "console.client")


def in_fresh_interpreter(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]).stdout


def test_the_process_that_controls_loads_nothing_that_it_does_not_need() -> None:
    loaded = json.loads(in_fresh_interpreter(LOADED))
    assert "edge_agent.gate_control.loop.service" in loaded
    assert {name.partition(".")[0] for name in loaded} & (HEAVY | OF_OTHERS) == set()
    unneeded = tuple(f"edge_agent.gate_control.{name}" for name in NOT_IN_CONTROL)
    assert [name for name in loaded if name.startswith(unneeded)] == []


def test_what_is_left_out_cannot_be_half_there() -> None:
    code = """
from edge_agent.gate_control.loop.lean import leave_out
leave_out()
found = []
for line in ("import ssl", "import rich", "from importlib.metadata import version"):
    try:
        exec(line)
    except ImportError:
        found.append(line)
from importlib.metadata import entry_points
from pydantic import BaseModel
print(len(found), list(entry_points(group="pydantic")), BaseModel.__name__)
"""
    assert in_fresh_interpreter(code).split() == ["3", "[]", "BaseModel"]


def test_what_was_loaded_at_the_start_is_walked_by_no_collection_any_more() -> None:
    code = """
import gc
from edge_agent.gate_control.loop.lean import freeze
freeze()
print(gc.get_freeze_count() > 1000, len(gc.get_objects()) < 1000)
"""
    assert in_fresh_interpreter(code).split() == ["True", "True"]


def test_a_module_that_is_there_already_stays() -> None:
    code = """
import importlib.metadata
from edge_agent.gate_control.loop.lean import leave_out
leave_out()
from importlib.metadata import version
print(bool(version("pydantic")))
"""
    assert in_fresh_interpreter(code).strip() == "True"
