"""A simulated site as a process: `python -m edge_agent.gate_control.simulation --port 15020 --speed 20`.

Lines on standard input play faults: `g1 stuck`, `g1 clear`, `g1 demand 1.5`, `inflow 4`.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from edge_agent.gate_control.check.yaml_site import parse_site
from edge_agent.gate_control.simulation.device_faults import DeviceFault, PointFault
from edge_agent.gate_control.simulation.devices import SimulatedDevices
from edge_agent.gate_control.simulation.example import example_canal, site_yaml
from edge_agent.gate_control.simulation.integrator_delay import Canal
from edge_agent.gate_control.simulation.plant import ActuatorTrouble
from shared.clock import SystemClock


def main() -> None:
    """Serve until SIGTERM, SIGINT; the end of standard input only ends the commands."""
    asyncio.run(_serve(_arguments()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="munbon-simulated-site", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=15020)
    parser.add_argument("--speed", type=float, default=1.0, help="seconds of the canal in a second")
    parser.add_argument("--gates", default="g1", help="names in flow order, with commas")
    parser.add_argument("--noise-m", type=float, default=0.001, help="standard deviation of the level sensors")
    parser.add_argument("--write-config", type=Path, help="write a site.yaml that fits, and go on")
    parser.add_argument("--site", default="north")
    parser.add_argument("--state-dir", default="state")
    parser.add_argument("--run-dir", default="run")
    return parser.parse_args()


async def _serve(options: argparse.Namespace) -> None:
    gates = tuple(options.gates.split(","))
    text = site_yaml(
        site=options.site, state_dir=options.state_dir, run_dir=options.run_dir, host=options.host, port=options.port, gates=gates,
        speed=options.speed,
    )  # fmt: skip
    canal = example_canal(gates)
    site, _ = parse_site(text, source="the example")
    devices = SimulatedDevices(site, canal, SystemClock(), speed=options.speed)
    await devices.start()
    if options.write_config is not None:
        options.write_config.write_text(text)
    _say(f"listening on {options.host}:{options.port}, speed {options.speed:g}, gates {', '.join(gates)}")
    stop = asyncio.Event()
    event_loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        event_loop.add_signal_handler(number, stop.set)
    commands = asyncio.create_task(_follow_commands(devices, canal), name="commands")
    await stop.wait()
    commands.cancel()
    await asyncio.gather(commands, return_exceptions=True)
    await devices.stop()


async def _follow_commands(devices: SimulatedDevices, canal: Canal) -> None:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    try:
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    except (OSError, ValueError):
        return  # no usable standard input: nothing to follow
    while line := (await reader.readline()).decode(errors="replace").strip():
        try:
            play(devices, canal, line)
            _say(f"done: {line}")
        except (KeyError, ValueError, IndexError) as error:
            _say(f"not understood: {line}: {error}")


def play(devices: SimulatedDevices, canal: Canal, line: str) -> None:
    """Carry out one line: `<gate> <fault>`, `<gate> clear`, `<gate> demand <m3/s>`, `inflow <m3/s>`.

    Raises:
        KeyError, ValueError, IndexError: it is none.
    """
    words = line.split()
    if words[0] == "inflow":
        canal.set_inflow("p1", float(words[1]))
    elif words[1] == "demand":
        if f"{words[0]}-field" not in canal.demands.flows_m3s:
            raise KeyError(words[0])
        canal.demands.flows_m3s[f"{words[0]}-field"] = float(words[2])
    elif words[1] == "clear":
        for trouble in ActuatorTrouble:
            devices.set_fault(words[0], trouble, on=False)
        for target in (words[0], f"{words[0]}-level", f"{words[0]}-position"):
            devices.clear_faults(target)
    else:
        _begin_fault(devices, words[0], words[1])


def _begin_fault(devices: SimulatedDevices, gate: str, word: str) -> None:
    """A fault of the gate's actuator, of its device, or of its level sensor, whichever has that name."""
    if word in tuple(ActuatorTrouble):
        devices.set_fault(gate, ActuatorTrouble(word))
    elif word in tuple(DeviceFault):
        devices.set_fault(gate, DeviceFault(word))
    else:
        devices.set_fault(f"{gate}-level", PointFault(word))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
