"""A node's Python environment: only what a Pi installs, so that memory is measured as it is there.

In the environment of a developer structlog finds rich and imports it, and much else is there that no node has.
"""

import contextlib
import hashlib
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from deploy.harness.processes import Child, ProcessFailed, run_program
from deploy.local_cluster.folders import cache_folder

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "deploy" / "systemd"
REQUIREMENTS = ROOT / "requirements"
INSTALL_LIMIT_S = 600.0
_PAGES = ("Pss", "Rss", "Private_Clean", "Private_Dirty")


async def node_python(extra: str) -> tuple[Path, str]:
    """The interpreter of an environment with one extra, made on first use; and words for the params.

    Args:
        extra: agent or gate: `requirements/<extra>.txt` is what goes in.

    Returns:
        The interpreter and "pinned <extra> extra only"; where it cannot be made (no package index), this interpreter and why.
    """
    lock = REQUIREMENTS / f"{extra}.txt"
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode() + str(ROOT).encode()).hexdigest()[:16]
    folder = cache_folder().parent / "bench" / f"{extra}-{digest}"
    interpreter = folder / "bin" / "python"
    if interpreter.exists():
        return interpreter, f"pinned {extra} extra only"
    try:
        await _install(lock, folder)
    except ProcessFailed as error:
        return Path(sys.executable), f"this interpreter with all extras ({str(error).splitlines()[-1][:120]})"
    return interpreter, f"pinned {extra} extra only"


async def _install(lock: Path, folder: Path) -> None:
    """Makes the environment beside its place and moves it there when it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        await _must([sys.executable, "-m", "venv", "--without-pip", str(draft)])
        target = str(draft / "bin" / "python")
        into = [sys.executable, "-m", "pip", "--python", target, "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        await _must([*into, "-r", str(REQUIREMENTS / "build.txt")])  # one package comes as source only
        await _must([*into, "--no-build-isolation", "-r", str(lock)])
        await _must([sys.executable, "-m", "pip", "--python", target, "uninstall", "--quiet", "--yes", "pip", "setuptools"])
        packages = next((draft / "lib").glob("python*")) / "site-packages"
        (packages / "munbon-checkout.pth").write_text(f"{ROOT}\n", encoding="utf-8")
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


async def _must(command: list[str]) -> None:
    code, output, errors = await run_program(command, timeout_s=INSTALL_LIMIT_S)
    if code != 0:
        raise ProcessFailed(f"ended with {code}: {(errors or output).strip()}", subject=" ".join(command[:4]))


def run_on(child: Child, script: str, module: str, interpreter: Path) -> None:
    """Lets a child that was not started yet run in a node's environment, with the variables of its systemd unit and none of ours."""
    place = next(index for index, word in enumerate(child.command) if Path(word).name == script)
    isolated = ["env", *(word for name in sorted(os.environ) if name.startswith("PYTHON") for word in ("-u", name))]
    child.command[place : place + 1] = [*isolated, *unit_environment(script), str(interpreter), "-s", "-P", "-m", module]


def unit_environment(script: str) -> list[str]:
    """`NAME=value` for each variable that the program's systemd unit sets."""
    return [word for value in unit_values(script, "Environment") for word in shlex.split(value)]


def unit_values(script: str, setting: str) -> list[str]:
    """What the program's systemd unit says of a setting, line by line."""
    lines = (UNITS / f"{script}.service").read_text(encoding="utf-8").splitlines()
    return [line.removeprefix(f"{setting}=") for line in lines if line.startswith(f"{setting}=")]


def prefer_as_unit(pid: int, script: str) -> int:
    """Gives a program, thread by thread, the priority of its systemd unit, where we may; and says which it has."""
    for nice in unit_values(script, "Nice"):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(PermissionError, ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, int(thread.name), int(nice))
    return os.getpriority(os.PRIO_PROCESS, pid)


def memory_mib(pid: int) -> Mapping[str, float]:
    """What a process holds, by the kernel's own account: Pss, Rss and private pages in MiB."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, _, rest = line.partition(":")
        if name in _PAGES:
            found[name] = int(rest.split()[0]) / 1024
    return found
