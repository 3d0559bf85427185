"""What systemd does for `munbon-gate.service`, as small as can be: judge, start, judge, and start again whenever it ends."""

import os
import shlex
import subprocess
import sys
import threading
from pathlib import Path

from edge_agent.gate_control.update.look import listener
from edge_agent.gate_control.update.next_step import Process
from edge_agent.gate_control.update.places import CURRENT, DEFAULT_ROOT, PROGRAM, Places

UNIT = Path(__file__).parents[3] / "deploy" / "systemd" / "munbon-gate.service"
RESTART_S = 1.0
STOP_S = 5.0
BEHAVIOUR = {"good": "", "ends": '[ "$1" = run ] && exit 1', "hangs": '[ "$1" = run ] && exec sleep 600'}


def install(places: Places, version: str, behaviour: str = "good") -> None:
    """A version that is this code, or one that ends or hangs instead of controlling."""
    program = places.program(version)
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\n{BEHAVIOUR[behaviour]}\nexec {sys.executable} -m edge_agent.gate_control.main "$@"\n')
    program.chmod(0o755)


class SmallUnit:
    """Keeps the process that `current` names running, from a thread of its own."""

    def __init__(self, places: Places, folder: Path, environment: dict[str, str]) -> None:
        self.places = places
        self.starts: list[str] = []
        self._socket, self._config = folder / "run" / "gate.sock", folder / "site.yaml"
        self._log = folder / "unit.log"
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._is_down = False
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ends.set()
        self.restart()
        self._thread.join(30)

    def restart(self) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            late = threading.Timer(STOP_S, process.kill)
            late.daemon = True
            late.start()

    def power_cut(self) -> None:
        """The process is gone at once, and what keeps it too."""
        self._ends.set()
        if self._process is not None:
            self._process.kill()
        self._thread.join(30)

    def state(self) -> Process:
        return Process.DOWN if self._is_down else Process.UP

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def _keep(self) -> None:
        with self._log.open("ab") as log:
            while not self._ends.is_set():
                self._run("ExecStartPre", log.fileno())
                self.starts.append(self.places.named_by(CURRENT))
                self._is_down = False
                command = [str(self.places.root / CURRENT / PROGRAM), "run", "--config", str(self._config)]
                self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
                while self._process.poll() is None and listener(self._socket) != self._process.pid and not self._ends.wait(0.05):
                    pass
                if self._process.poll() is None:
                    self._run("ExecStartPost", log.fileno())
                code = self._process.wait()
                if code not in (0, -15):
                    self._is_down = True
                    self._ends.wait(RESTART_S)

    def _run(self, key: str, log: int) -> None:
        """The line of the unit itself, for other folders."""
        [line] = [line for line in UNIT.read_text().splitlines() if line.startswith(f"{key}=-+")]
        here = line.partition("=-+")[2].replace(DEFAULT_ROOT, str(self.places.root)).replace("/etc/munbon/site.yaml", str(self._config))
        here = here.replace(" --config", f" --root {self.places.root} --config")
        environment = {**self._environment, "PATH": os.environ["PATH"]}
        subprocess.run(shlex.split(here), env=environment, stdout=log, stderr=log, timeout=60, check=False)
