"""What the figures were measured on."""

import os
import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def describe() -> dict[str, object]:
    """The machine in a few words: without its name, which says nothing about its speed."""
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "architecture": platform.machine(),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "system": system_name(),
        "python": platform.python_version(),
        "commit": commit(),
    }


def cpu_model() -> str:
    """The processor's own name; on a Pi the board's."""
    for path, key in (("/proc/cpuinfo", "model name"), ("/proc/cpuinfo", "Model")):
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            if line.split(":")[0].strip() == key:
                return line.partition(":")[2].strip()
    return "unknown"


def system_name() -> str:
    """The distribution, as it calls itself."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def commit() -> str:
    """The commit measured, with a plus when the tree differs from it; empty outside a checkout."""
    words = ["git", "describe", "--always", "--dirty=+"]
    answer = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""
