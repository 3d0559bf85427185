"""Every scan of the loop into the journal, so that it can be decided again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from edge_agent.gate_control.decide.alarms import Raised
from edge_agent.gate_control.journal.scan_recorder import ScanRecorder
from edge_agent.gate_control.model.values import Command, Now, Sample, WriteOutcome
from edge_agent.gate_control.replay.blocks import ScanInputs
from edge_agent.gate_control.replay.happenings import Base, Happened, base_data, happened_data
from edge_agent.gate_control.replay.quantise import quantise_now, quantise_samples
from edge_agent.gate_control.replay.redecide import command_lines
from edge_agent.gate_control.replay.step import Given, Memory
from shared.contracts.gate_plan import GatePlan


class Recording:
    """Called around each scan: `before`, then `scanned`, then `written`."""

    def __init__(self, recorder: ScanRecorder) -> None:
        self._recorder = recorder
        self._memory: Memory | None = None
        self._plan: GatePlan | None = None
        self._conditions: Mapping[str, Raised] = {}
        self._written: tuple[WriteOutcome, ...] = ()

    def samples(self, samples: Iterable[Sample]) -> tuple[Sample, ...]:
        """In steps that the journal keeps: what is decided from is what is kept."""
        return quantise_samples(self._recorder.steps, samples)

    def now(self, now: Now) -> Now:
        """In whole milliseconds."""
        return quantise_now(now)

    def before(self, memory: Memory, given: Given) -> None:
        """Begin a block where one is due, or where the memory is not what the last scan left (a state that was taken up)."""
        if memory is not self._memory or self._recorder.is_block_due(given.now.monotonic_s):
            base = Base(memory, given.plan, given.conditions)
            self._recorder.begin(lambda: base_data(base), given.now.monotonic_s)
            self._plan, self._conditions, self._written = given.plan, given.conditions, ()

    def scanned(self, given: Given, commands: Sequence[Command]) -> None:
        """Keep what the scan was given, and what it commanded."""
        is_new_plan = given.plan is not self._plan and given.plan != self._plan
        happened = Happened(
            written=self._written,
            instructions=tuple(given.instructions),
            plan=given.plan if is_new_plan else None,
            is_new_plan=is_new_plan,
            conditions=given.conditions if given.conditions != self._conditions else None,
            decided=command_lines(commands) or None,
        )
        self._plan, self._conditions = given.plan, given.conditions
        self._recorder.add(ScanInputs(given.now, tuple(given.samples), happened_data(happened)))

    def written(self, memory: Memory, outcomes: Sequence[WriteOutcome]) -> None:
        """What became of the commands, and the memory that the next scan begins with."""
        self._memory, self._written = memory, tuple(outcomes)
        self._recorder.hand_over()

    def close(self) -> None:
        """Hand over what is in hand, at the end of the process."""
        self._recorder.close()


class NotRecorded:
    """In the place of a recording, where nobody looks back."""

    def samples(self, samples: Iterable[Sample]) -> tuple[Sample, ...]:
        """As they came."""
        return tuple(samples)

    def now(self, now: Now) -> Now:
        """As it is."""
        return now

    def before(self, memory: Memory, given: Given) -> None:
        """Not kept."""

    def scanned(self, given: Given, commands: Sequence[Command]) -> None:
        """Not kept."""

    def written(self, memory: Memory, outcomes: Sequence[WriteOutcome]) -> None:
        """Not kept."""

    def close(self) -> None:
        """Nothing is in hand."""
