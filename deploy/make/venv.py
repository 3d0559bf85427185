"""Makes `.venv`: pinned requirements checked by hash, then this checkout in editable form. Does nothing when nothing changed.

Debian and Ubuntu part `ensurepip` from Python, so a virtual environment may come without pip. Whatever can install is then
used once, to put the pinned pip into the environment; from there on that pip does the work, the same one everywhere.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from deploy.make import progress

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".munbon-requirements"
BUILD_REQUIREMENTS = ROOT / "requirements" / "build.txt"
DEV_REQUIREMENTS = ROOT / "requirements" / "dev.txt"
DISTRIBUTION_WHEELS = Path("/usr/share/python-wheels")
OLDEST_PIP_WITH_PYTHON_OPTION = (22, 3)

NO_INSTALLER = """munbon: this Python ({python}) can make a virtual environment, but nothing here can install into it:
        no ensurepip, no pip, no pip wheel of the distribution, no uv.
        On Debian or Ubuntu, as root: apt install python3-venv"""


def main() -> int:
    """Brings `.venv` up to date; returns the exit code."""
    wanted = wanted_state()
    if VENV_PYTHON.exists() and STAMP.exists() and STAMP.read_text(encoding="utf-8") == wanted:
        return 0
    try:
        ensure_environment()
        install_requirements()
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1
    STAMP.write_text(wanted, encoding="utf-8")
    return 0


class InstallError(Exception):
    """What could not be installed, and the one line that would change it."""


def wanted_state() -> str:
    """A digest of all that decides what is in `.venv`: the pins, the project's metadata, and where the checkout is."""
    digest = hashlib.sha256(str(ROOT).encode())
    for path in (BUILD_REQUIREMENTS, DEV_REQUIREMENTS, ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def ensure_environment() -> None:
    """Makes `.venv` with the pinned pip and setuptools in it, or raises InstallError."""
    if VENV.exists() and not works(VENV_PYTHON):
        print("munbon: .venv has lost its Python; making it again")
        shutil.rmtree(VENV)
    if not VENV_PYTHON.exists():
        print(f"munbon: making .venv with Python {sys.version.split()[0]} ({sys.executable})", flush=True)
        make_environment()
    for installer in installers():
        if put_pip(installer):
            return
    shutil.rmtree(VENV, ignore_errors=True)
    raise InstallError(NO_INSTALLER.format(python=sys.executable))


def works(python: Path) -> bool:
    """Whether this interpreter starts and is one of ours."""
    check = "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))"
    return python.exists() and subprocess.run([python, "-I", "-c", check], capture_output=True, check=False).returncode == 0


def make_environment() -> None:
    """Makes `.venv`, with pip when this Python can give one."""
    if importlib.util.find_spec("ensurepip"):
        made = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True, text=True, check=False)
        if made.returncode == 0:
            return
    shutil.rmtree(VENV, ignore_errors=True)
    print("munbon: this Python comes without ensurepip; looking for another pip", flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", "--without-pip", VENV], capture_output=True, text=True, check=False)
    if made.returncode:
        raise InstallError(
            f"munbon: {sys.executable} -m venv failed: {made.stdout}{made.stderr}\n        As root: apt install python3-venv"
        )


def installers() -> Iterator[list[str]]:
    """Commands that behave as `pip install` for `.venv`, best first; each is only tried when those before it failed."""
    target = str(VENV_PYTHON)
    if any(VENV.glob("lib/python3*/site-packages/pip")):
        yield [target, "-m", "pip", "install"]
    if knows_python_option([sys.executable, "-m", "pip"]):
        yield [sys.executable, "-m", "pip", "--python", target, "install"]
    for wheel in sorted(DISTRIBUTION_WHEELS.glob("pip-*.whl")):
        yield [target, f"{wheel}/pip", "install"]
    if uv := shutil.which("uv"):
        yield [uv, "pip", "install", "--python", target]
    for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11", "/usr/bin/python3"):
        if (other := shutil.which(name)) and knows_python_option([other, "-m", "pip"]):
            yield [other, "-m", "pip", "--python", target, "install"]


def knows_python_option(pip: Sequence[str]) -> bool:
    """Whether this pip is there and can install into another environment (pip 22.3 and later)."""
    answer = subprocess.run([*pip, "--version"], capture_output=True, text=True, check=False)
    words = answer.stdout.split()
    if answer.returncode or len(words) < 2 or words[0] != "pip":
        return False
    return tuple(int(part) for part in words[1].split(".")[:2] if part.isdigit()) >= OLDEST_PIP_WITH_PYTHON_OPTION


def put_pip(installer: Sequence[str]) -> bool:
    """Puts the pinned pip and setuptools into `.venv`; False when this installer cannot.

    Raises:
        InstallError: the installer works, but the packages could not be had.
    """
    command = [*installer, "--require-hashes", "-r", str(BUILD_REQUIREMENTS)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet_environment())
    if answer.returncode == 0:
        return True
    if "No module named pip" in answer.stderr or "unknown option" in answer.stderr:
        return False
    said = f"{answer.stdout[-2000:]}{answer.stderr[-2000:]}"
    raise InstallError(f"{said}\nmunbon: {' '.join(command)} failed; is a package index reachable (pip config list)?")


def install_requirements() -> None:
    """Installs the pinned requirements by hash, then the project itself, editable.

    Raises:
        InstallError: with the end of pip's output.
    """
    pip = [str(VENV_PYTHON), "-m", "pip", "install", "--no-build-isolation"]
    packages = sum(1 for line in DEV_REQUIREMENTS.read_text(encoding="utf-8").splitlines() if "==" in line)
    steps = (
        (
            [*pip, "--require-hashes", "-r", str(DEV_REQUIREMENTS)],
            f"installing {packages} pinned packages, each checked by its hash",
            packages,
        ),
        ([*pip, "--no-deps", "--editable", str(ROOT)], "installing this checkout", 0),
    )
    for command, what, total in steps:
        tail = progress.run(command, what=what, total=total, env=quiet_environment())
        if tail is not None:
            raise InstallError(f"{tail}\nmunbon: {what} failed; is a package index reachable (pip config list), is the disk full?")


def quiet_environment() -> dict[str, str]:
    """The environment for pip: no questions, no advice on newer versions, nothing of a venv that happens to be active."""
    unwanted = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET", "PIP_REQUIRE_VIRTUALENV"}
    return {name: value for name, value in os.environ.items() if name not in unwanted} | {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }


if __name__ == "__main__":
    sys.exit(main())
