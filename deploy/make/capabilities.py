"""What this machine can run, and in plain words what it cannot: why, and the one line that would change it."""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

OLDEST_GO = (1, 26)
POSTGRES_FOLDERS = "/usr/lib/postgresql"
LAUNCHER = Path(__file__).resolve().parents[1] / "local_cluster" / "__main__.py"
CNI_FOLDERS = ("/usr/lib/cni", "/opt/cni/bin")


@dataclass(frozen=True)
class Lack:
    """Something this machine lacks."""

    missing: str
    remedy: str


def go_lack() -> Lack | None:
    """The control plane is built from source by Go."""
    go = find_go()
    if go is None:
        return Lack("no Go on PATH", "install Go 1.26 or newer (`go version` tells), and run this again")
    words = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"go(\d+)\.(\d+)", words)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GO:
        return Lack(f"{go} is {words.strip() or 'of an unknown version'}, older than 1.26", "install Go 1.26 or newer, and run this again")
    return None


def find_go() -> str | None:
    """Go on PATH, or where its own archive puts it."""
    usual = Path("/usr/local/go/bin/go")
    return shutil.which("go") or (str(usual) if usual.exists() else None)


def full_node_lack() -> Lack | None:
    """A full node runs containerd and a kubelet in a network namespace of its own."""
    if lack := go_lack():
        return lack
    programs = [name for name in ("runc", "ip", "nft", "busybox") if shutil.which(name, path=system_path()) is None]
    if not any((Path(folder) / "bridge").exists() for folder in CNI_FOLDERS):
        programs.append("the CNI plugins")
    if programs:
        return Lack(f"not on this machine: {', '.join(programs)}", "as root: make cluster INSTALL=1")
    return root_lack()


def root_lack() -> Lack | None:
    """Network namespaces and mounts need root."""
    return None if os.geteuid() == 0 else Lack("not root", "as root: make test-all")


def postgres_lack() -> Lack | None:
    """PostgreSQL's own server programs; the tests start a server of their own."""
    if shutil.which("postgres") or any(Path(POSTGRES_FOLDERS).glob("*/bin/postgres")):
        return None
    return Lack("no PostgreSQL server program", "as root: apt install postgresql")


def system_path() -> str:
    """PATH with the folders of system programs, which a user's PATH often lacks."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


# marker of tests/ -> what runs under it, and what it needs
NEEDS: dict[str, tuple[str, Callable[[], Lack | None]]] = {
    "control_plane": ("everything on the real control plane", go_lack),
    "full_node": ("everything on full nodes with real pods", full_node_lack),
    "postgres": ("central on PostgreSQL", postgres_lack),
    "root": ("everything in network namespaces", root_lack),
}


def lacks() -> dict[str, Lack]:
    """What this machine lacks, by the marker of the tests that need it."""
    found = {marker: find() for marker, (_, find) in NEEDS.items()}
    return {marker: lack for marker, lack in found.items() if lack is not None}


def describe(found: dict[str, Lack]) -> list[str]:
    """One line for each thing left out: what, why, and the line that changes it."""
    return [f"skipped here: {NEEDS[marker][0]}: {lack.missing}. To change it: {lack.remedy}" for marker, lack in found.items()]


def build_cluster() -> int:
    """Builds the control plane, which shows its own progress and is cached by its sources; returns the exit code."""
    if not LAUNCHER.exists():
        return 0
    return subprocess.run([sys.executable, "-m", "deploy.local_cluster", "build"], check=False).returncode


def main() -> int:
    """Says what is left out and, with --build, builds what can be built; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", action="store_true", help="build the control plane where Go is there")
    parser.add_argument("--cluster", default="auto", help="what the demo is asked to run on")
    arguments = parser.parse_args()
    found = lacks()
    for line in describe(found):
        print(f"munbon: {line}", flush=True)
    if arguments.build and "control_plane" not in found and arguments.cluster in {"auto", "full", "control_plane"}:
        return build_cluster()
    return 0


if __name__ == "__main__":
    sys.exit(main())
