"""What the process that controls loads and what not, in a fresh interpreter: this one has imported everything already."""

import json
import subprocess
import sys
from pathlib import Path

from edge_agent.gate_control.simulation.example import site_yaml

LOADED = """
import json, sys
sys.argv = ["munbon-gate", "run", "--config", sys.argv[1]]
from edge_agent.gate_control import main

def instead_of_running(site, folder, findings):
    import edge_agent.gate_control.loop.service
    print(json.dumps(sorted(name for name, module in sys.modules.items() if module is not None)))
    return 0

main._run_site = instead_of_running
main.main()
"""
HEAVY = {
    "ssl",
    "_ssl",
    "_hashlib",
    "email",
    "zipfile",
    "http",
    "xml",
    "multiprocessing",
    "rich",
    "typer",
    "click",
    "colorama",
    "yaml",
    "tomllib",
}
OF_OTHERS = {"pymodbus", "serial", "pyswmm", "nats", "kubernetes_asyncio", "aiohttp", "httpx", "sqlalchemy", "fastapi", "cryptography"}
NOT_IN_CONTROL = (
    "lookback",
    "update",
    "simulation",
    "check.yaml_site",
    "check.site_rules",
    "console.cli_act",
    "console.cli_show",
    "console.client",
)


def in_fresh_interpreter(code: str, *arguments: str) -> str:
    run = [sys.executable, "-c", code, *arguments]
    return subprocess.run(run, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]).stdout


def test_the_process_that_controls_loads_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(site_yaml(site="north", state_dir="state", run_dir="run", port=502))
    loaded = json.loads(in_fresh_interpreter(LOADED, str(site)))
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
