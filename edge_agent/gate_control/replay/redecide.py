"""Blocks of scans decided once more: the same code comes to the same, another one shows where it differs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import Command, MoveTo, Now, Pulse
from edge_agent.gate_control.replay.blocks import Block
from edge_agent.gate_control.replay.happenings import read_base, read_happened
from edge_agent.gate_control.replay.step import Given, Scanned, after_writing, scan


@dataclass(frozen=True)
class Redecided:
    """One scan, then and now."""

    now: Now
    then: tuple[str, ...]
    """What was commanded then, one line a command."""
    today: tuple[str, ...]
    scanned: Scanned

    @property
    def is_same(self) -> bool:
        """Whether today's code commands the same."""
        return self.then == self.today


def command_line(command: Command) -> str:
    """A command in one line, figures as they are written to devices; the reason does not count."""
    if isinstance(command, MoveTo):
        return f"{command.gate} move {command.opening_pct:.3f}"
    if isinstance(command, Pulse):
        return f"{command.gate} pulse {command.direction:+d} {command.run_s:.3f}"
    return f"{command.gate} stop"


def command_lines(commands: Iterable[Command]) -> tuple[str, ...]:
    """All commands of a scan, in the order of their gates."""
    return tuple(sorted(command_line(command) for command in commands))


def redecide(site: SiteConfiguration, block: Block) -> Iterator[Redecided]:
    """Every scan of a block, decided by the code that runs this.

    The memory goes on as this code makes it, but what became of commands is taken as it was: where the two differ, the
    difference shows from there on, until the next block.

    Raises:
        ValueError: the block's state is of a version that this one cannot read.
    """
    base = read_base(block.base)
    memory, plan, conditions = base.memory, base.plan, base.conditions
    before: Now | None = None
    for inputs in block.scans:
        happened = read_happened(inputs.happened)
        if before is not None:
            memory = after_writing(memory, happened.written, before)
        if happened.is_new_plan:
            plan = happened.plan
        conditions = conditions if happened.conditions is None else happened.conditions
        scanned = scan(site, memory, Given(inputs.now, inputs.samples, plan, happened.instructions, conditions))
        memory, before = scanned.memory, inputs.now
        yield Redecided(inputs.now, happened.decided or (), command_lines(scanned.decision.commands), scanned)
