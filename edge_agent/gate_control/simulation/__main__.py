"""A simulated site as a process: `python -m edge_agent.gate_control.simulation --port 15020 --speed 20`.

Lines on standard input play faults: `g1 stuck`, `g1 clear`, `g1 demand 1.5`, `inflow 4`.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from edge_agent.gate_control.simulation.example import example_canal, gate_toml
from edge_agent.gate_control.simulation.site import Fault, SimulatedSite
from shared.clock import SystemClock


def main() -> None:
    """Serve until SIGTERM, SIGINT; the end of standard input only ends the commands."""
    asyncio.run(_serve(_arguments()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="munbon-simulated-site", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port, printed at the start")
    parser.add_argument("--speed", type=float, default=1.0, help="seconds of the canal in a second")
    parser.add_argument("--gates", default="g1", help="names in flow order, with commas")
    parser.add_argument("--noise-m", type=float, default=0.001, help="standard deviation of the level sensors")
    parser.add_argument("--write-config", type=Path, help="write a gate.toml that fits, and go on")
    parser.add_argument("--site", default="north")
    parser.add_argument("--state-dir", default="state")
    parser.add_argument("--run-dir", default="run")
    return parser.parse_args()


async def _serve(options: argparse.Namespace) -> None:
    gates = tuple(options.gates.split(","))
    site = SimulatedSite(
        example_canal(gates), SystemClock(), speed=options.speed, host=options.host, port=options.port, noise_m=options.noise_m
    )
    await site.start()
    if options.write_config is not None:
        text = gate_toml(
            site=options.site, state_dir=options.state_dir, run_dir=options.run_dir, host=options.host, port=site.port, gates=gates,
            speed=options.speed,
        )  # fmt: skip
        options.write_config.write_text(text)
    _say(f"listening on {options.host}:{site.port}, speed {options.speed:g}, gates {', '.join(gates)}")
    stop = asyncio.Event()
    event_loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        event_loop.add_signal_handler(number, stop.set)
    commands = asyncio.create_task(_follow_commands(site), name="commands")
    await stop.wait()
    commands.cancel()
    await asyncio.gather(commands, return_exceptions=True)
    await site.stop()


async def _follow_commands(site: SimulatedSite) -> None:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    try:
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    except (OSError, ValueError):
        return  # no usable standard input: nothing to follow
    while line := (await reader.readline()).decode(errors="replace").strip():
        try:
            play(site, line)
            _say(f"done: {line}")
        except (KeyError, ValueError, IndexError) as error:
            _say(f"not understood: {line}: {error}")


def play(site: SimulatedSite, line: str) -> None:
    """Carry out one line.

    Raises:
        KeyError, ValueError, IndexError: it is none.
    """
    words = line.split()
    if words[0] == "inflow":
        site.canal.inflow_m3s = float(words[1])
    elif words[1] == "demand":
        if words[0] not in site.canal.demands_m3s:
            raise KeyError(words[0])
        site.canal.demands_m3s[words[0]] = float(words[2])
    elif words[1] == "clear":
        site.clear_faults(words[0])
    else:
        site.set_fault(words[0], Fault(words[1]))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
