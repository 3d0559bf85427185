"""A disk whose fsync takes seconds, for one process: a small library in front of the C library, built where a C compiler is."""

from __future__ import annotations

import shutil
from pathlib import Path

from deploy.harness.processes import ProcessFailed, run_program

SOURCE = Path(__file__).with_name("slow_disk.c")


def compiler() -> str | None:
    """A C compiler, or None."""
    return shutil.which("cc") or shutil.which("gcc")


class SlowDisk:
    """`environment` is for the process that shall suffer; `delay_s` may change while it runs."""

    def __init__(self, folder: Path) -> None:
        self.library = folder / "slow_disk.so"
        self.control = folder / "slow_disk.seconds"

    async def build(self) -> None:
        """Compile the library.

        Raises:
            ProcessFailed: no compiler, or it refuses.
        """
        program = compiler()
        if program is None:
            raise ProcessFailed("no C compiler here", remedy="install gcc")
        code, _, errors = await run_program([program, "-shared", "-fPIC", "-O1", "-o", str(self.library), str(SOURCE), "-ldl"])
        if code != 0:
            raise ProcessFailed(errors.strip(), subject=str(SOURCE))
        self.set_delay(0)

    def set_delay(self, delay_s: int) -> None:
        """How long each fsync takes from now on, in whole seconds."""
        self.control.write_text(f"{delay_s}\n")

    @property
    def environment(self) -> dict[str, str]:
        """For the process."""
        return {"LD_PRELOAD": str(self.library), "SLOW_DISK_FILE": str(self.control)}
