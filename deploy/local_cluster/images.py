"""Makes the test images: docker-archive files from a static pause program and a static busybox, without any registry.

One archive holds all of them; images that share a layer share it there too.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shared.durable_file import write_atomic
from shared.errors import MunbonError

PAUSE_IMAGE = "docker.io/munbon/pause:3.10"
BUSYBOX_IMAGE = "docker.io/munbon/busybox:1.35.0"
DEMO_APP = "docker.io/munbon/gate-ui"
DEMO_VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
DEMO_PORT = 8080
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_MADE = "2026-01-01T00:00:00Z"
# Debian's static busybox crashes in wget (its C library looks for parts that are not there); this one needs no names
_LEFT_OUT = {"busybox", "wget"}
_FETCH = b"""#!/bin/sh
# fetch ADDRESS PORT PATH: body of an HTTP answer
printf 'GET %s HTTP/1.0\\r\\nHost: %s\\r\\n\\r\\n' "$3" "$1" | nc -w 3 "$1" "$2" | sed '1,/^.$/d'
"""
_FOLDERS = ("bin", "etc", "tmp", "www")


class NoBusybox(MunbonError):
    """The static busybox is not on this machine."""


@dataclass(frozen=True)
class Image:
    """One image of a single layer.

    Attributes:
        name: full name with tag.
        files: path inside the image -> content; everything is executable and readable by all.
        links: path inside the image -> target of the symbolic link.
    """

    name: str
    files: Mapping[str, bytes]
    links: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = ()
    port: int | None = None


def default_images(pause: Path) -> list[Image]:
    """Pause, busybox, and the demo's web page in each of its versions.

    Raises:
        NoBusybox: Debian's busybox-static is not installed.
    """
    busybox = find_busybox()
    users = b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
    files = {"bin/busybox": busybox.read_bytes(), "bin/fetch": _FETCH, "etc/passwd": users}
    links = {f"bin/{applet}": "busybox" for applet in _applets(busybox)}
    web = ("/bin/httpd", "-f", "-p", str(DEMO_PORT), "-h", "/www")
    pages = {version: {"www/index.html": f"gate-ui {version}\n".encode(), "www/healthz": b"ok\n"} for version in DEMO_VERSIONS}
    demo = [Image(f"{DEMO_APP}:{version}", {**files, **page}, links, web, DEMO_PORT) for version, page in pages.items()]
    return [Image(PAUSE_IMAGE, {"pause": pause.read_bytes()}, command=("/pause",)), Image(BUSYBOX_IMAGE, files, links, ("/bin/sh",)), *demo]


def default_archive(folder: Path, pause: Path) -> Path:
    """The archive of all default images, made in `folder` unless it is there for this busybox and this pause program.

    Raises:
        NoBusybox: Debian's busybox-static is not installed.
    """
    sources = (pause, find_busybox(), Path(__file__))
    digest = hashlib.sha256(b"".join(hashlib.sha256(each.read_bytes()).digest() for each in sources)).hexdigest()
    path = folder / f"images-{digest[:16]}.tar"
    if not path.exists():
        write_image(path, *default_images(pause))
    return path


def write_image(path: Path, *images: Image) -> Path:
    """Write images as one docker-archive, which containerd, Docker and podman import."""
    parts: dict[str, bytes] = {}
    manifest = []
    for image in images:
        layer = _layer(image)
        layer_digest = hashlib.sha256(layer).hexdigest()
        config = json.dumps(_config(image, layer_digest), sort_keys=True).encode()
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        parts[f"{layer_digest}.tar"] = layer
        parts[config_name] = config
        manifest.append({"Config": config_name, "RepoTags": [image.name], "Layers": [f"{layer_digest}.tar"]})
    parts["manifest.json"] = json.dumps(manifest).encode()
    write_atomic(path, _tar(parts, {}, ()))
    return path


def find_busybox() -> Path:
    """Debian's static busybox.

    Raises:
        NoBusybox: it is not there, or is linked dynamically and would not run in an image of its own.
    """
    found = shutil.which("busybox", path="/usr/bin:/bin:/usr/local/bin")
    if found is None or _is_dynamic(Path(found)):
        raise NoBusybox("no static busybox", subject="test images", remedy="as root: make cluster INSTALL=1")
    return Path(found)


def _is_dynamic(program: Path) -> bool:
    # A dynamic program names its loader near the start of the file
    return b"/ld-linux" in program.read_bytes()[:4096]


def _applets(busybox: Path) -> list[str]:
    listed = subprocess.run([str(busybox), "--list"], capture_output=True, text=True, check=True).stdout.split()
    return sorted(set(listed) - _LEFT_OUT)


def _config(image: Image, layer_digest: str) -> dict[str, object]:
    run: dict[str, object] = {"Cmd": list(image.command), "Env": ["PATH=/bin"], "WorkingDir": "/"}
    if image.port is not None:
        run["ExposedPorts"] = {f"{image.port}/tcp": {}}
    return {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": _MADE,
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "history": [{"created": _MADE, "created_by": "munbon local cluster"}],
    }


def _layer(image: Image) -> bytes:
    return _tar(image.files, image.links, _FOLDERS)


def _tar(files: Mapping[str, bytes], links: Mapping[str, str], folders: Sequence[str]) -> bytes:
    """A tar that is the same, byte for byte, for the same content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for folder in folders:
            entry = tarfile.TarInfo(folder)
            entry.type = tarfile.DIRTYPE
            entry.mode = 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o755
            tar.addfile(entry, io.BytesIO(content))
        for name, target in sorted(links.items()):
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.SYMTYPE
            entry.linkname = target
            tar.addfile(entry)
    return buffer.getvalue()
