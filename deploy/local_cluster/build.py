"""Builds the cluster's programs from the Go module beside this file; a build is kept by the hash of all that went into it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from deploy.local_cluster.folders import cache_folder
from deploy.make import capabilities
from shared.errors import MunbonError

What = Literal["control_plane", "full"]
SOURCES = Path(__file__).parent / "go"
CONTROL_PLANE = "munbon-control-plane"
NODE = "munbon-node"
SHIM = "containerd-shim-runc-v2"
PAUSE = "munbon-pause"
PROGRAMS: dict[What, tuple[str, ...]] = {"control_plane": (CONTROL_PLANE,), "full": (NODE, SHIM, PAUSE)}
KUBERNETES_VERSION = "v1.36.3"
# btrfs, zfs and devmapper are snapshotters for disks that a test node does not have
FLAGS = (
    "-trimpath",
    "-buildvcs=false",
    "-tags",
    "no_btrfs,no_zfs,no_devmapper",
    "-ldflags",
    f"-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}",
)
_PROGRESS_S = 10.0
_UNUSED_S = 30 * 24 * 3600.0


class BuildFailed(MunbonError):
    """The Go build ended with an error, or there is no Go."""


@dataclass
class Progress:
    """What a running build has done; prints a line now and then."""

    name: str
    started_s: float = field(default_factory=time.monotonic)
    fetched: int = 0
    compiled: int = 0
    other: list[str] = field(default_factory=list)
    _printed_s: float = field(default_factory=time.monotonic)

    def take(self, line: str) -> None:
        """Count one line of `go build -v`; keep what is neither a fetch nor a package for the error."""
        if line.startswith("go: downloading"):
            self.fetched += 1
        elif " " in line or line.startswith("#"):
            self.other.append(line)
        elif line:
            self.compiled += 1
        if time.monotonic() - self._printed_s >= _PROGRESS_S:
            self._printed_s = time.monotonic()
            say(f"{self.name}: {self._printed_s - self.started_s:.0f} s, {self.fetched} modules fetched, {self.compiled} packages compiled")


def say(line: str) -> None:
    """One line of progress."""
    print(f"munbon: local cluster: {line}", flush=True)


def ensure_built(what: What) -> Path:
    """Folder with the programs of `what`, built if they are not there; a repeat costs milliseconds.

    Two callers at once build once: the second waits for the first.

    Raises:
        BuildFailed: no Go, Go too old, or the build's own error.
    """
    folder = cache_folder() / fingerprint()
    if not missing(folder, what):
        os.utime(folder)
        return folder
    with _build_lock():
        folder.mkdir(exist_ok=True)
        for name in missing(folder, what):
            _build(name, folder)
        _forget_unused(folder)
    return folder


def missing(folder: Path, what: What) -> list[str]:
    """Programs of `what` that are not in `folder`."""
    return [name for name in PROGRAMS[what] if not (folder / name).exists()]


def is_built(what: What) -> bool:
    """Whether `ensure_built` would have nothing to do."""
    try:
        return not missing(cache_folder() / fingerprint(), what)
    except BuildFailed:
        return False


def fingerprint() -> str:
    """SHA-256 of the Go sources, flags, and Go's version and target."""
    digest = hashlib.sha256(_go_identity().encode() + repr(FLAGS).encode())
    for path in sorted(SOURCES.rglob("*")):
        if path.is_file():
            digest.update(f"\n{path.relative_to(SOURCES)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _go() -> str:
    go = capabilities.find_go()
    if go is None:
        raise BuildFailed("no Go on PATH", subject="local cluster", remedy="install Go 1.26 or newer, and run this again")
    return go


def _go_identity() -> str:
    # In the module's folder, so that a Go that fetches the version which go.mod asks for answers with that one
    answer = subprocess.run([_go(), "env", "GOVERSION", "GOOS", "GOARCH"], cwd=SOURCES, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise BuildFailed(answer.stderr.strip(), subject="local cluster", remedy="install the Go version that it asks for")
    return answer.stdout


def _build(name: str, folder: Path) -> None:
    """Build one program into a temporary file beside its place, and rename it: a half-written program is never found."""
    say(f"building {name}; the first time this takes some minutes")
    progress = Progress(name)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".building-") as work:
        output = Path(work) / name
        command = ["nice", _go(), "build", "-v", *FLAGS, "-o", str(output), f"./cmd/{name}"]
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""}
        with subprocess.Popen(command, cwd=SOURCES, env=environment, stderr=subprocess.PIPE, text=True) as go:
            for line in go.stderr or ():
                progress.take(line.rstrip())
        if go.returncode != 0:
            raise BuildFailed(
                f"go build ended with {go.returncode}:\n" + "\n".join(progress.other[-20:]),
                subject=name,
                remedy="the lines above are Go's own",
            )
        output.chmod(0o755)
        output.rename(folder / name)
    say(f"built {name} in {time.monotonic() - progress.started_s:.0f} s, {(folder / name).stat().st_size / 1e6:.0f} MB")


@contextmanager
def _build_lock() -> Iterator[None]:
    with (cache_folder() / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another run is building; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _forget_unused(current: Path) -> None:
    """Remove builds of other sources that nobody has used for a month, and halves that a killed build left; the lock is held."""
    for half in current.glob(".building-*"):
        shutil.rmtree(half, ignore_errors=True)
    for folder in cache_folder().iterdir():
        is_build = len(folder.name) == 64 and folder != current
        if is_build and time.time() - folder.stat().st_mtime > _UNUSED_S:
            shutil.rmtree(folder, ignore_errors=True)
