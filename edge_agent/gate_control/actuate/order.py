"""In which order the commands of one scan go to their devices. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import Command, Sample


def oldest_first(site: SiteConfiguration, commands: Sequence[Command], samples: Sequence[Sample]) -> Sequence[Command]:
    """Whose gate was read first is written first: on a line that is asked unit by unit no gate then waits for both whole rounds.

    Args:
        site: its gates.
        commands: at most one a gate.
        samples: of this scan, in the order in which they were read. Gates of which nothing came go last, as they stood.
    """
    if len(commands) < 2:
        return commands
    read: dict[str, int] = {}
    for place, sample in enumerate(samples):
        read.setdefault(sample.point, place)
    places = {gate.id: read.get(gate.actuator.position, len(samples)) for gate in site.gates()}
    return sorted(commands, key=lambda command: places.get(command.gate, len(samples)))
