"""The library is imported lean, and stays so (kubernetes.md 6)."""

import base64
import importlib.metadata
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from edge_agent.kube.access import read_access
from edge_agent.kube.errors import KubeUnavailable

MODULES = 400
GROWTH_KIB = 24_000
SCRIPT = """
import asyncio, json, ssl, sys
def rss():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])
before = rss()
import edge_agent.kube.library
import aiohttp
print(json.dumps({"modules": len(sys.modules), "growth_kib": rss() - before,
    "library": sorted(name for name in sys.modules if name.startswith("kubernetes_asyncio"))}))
"""


def test_importing_the_client_costs_few_modules_and_little_memory() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True, text=True, cwd=Path(__file__).parents[4])
    cost = json.loads(run.stdout)
    assert cost["modules"] < MODULES, cost
    assert cost["growth_kib"] < GROWTH_KIB, cost
    assert not any(part in name for name in cost["library"] for part in ("models", ".api", "dynamic", "watch", "stream")), cost["library"]


def test_the_version_is_the_one_that_this_was_written_against() -> None:
    assert importlib.metadata.version("kubernetes_asyncio") == "36.1.0", "try edge_agent/kube/library.py with the new one first"


async def test_no_key_is_left_behind_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    data = base64.b64encode(b"not a certificate").decode()
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", "certificate-authority-data": data}}],
        "users": [{"name": "u", "user": {"client-certificate-data": data, "client-key-data": data}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(KubeUnavailable):
        await read_access(path)
    assert list((tmp_path / "temporary").iterdir()) == []
