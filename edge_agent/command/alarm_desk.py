"""Acknowledging what the agent itself raised: the gate process does not know these alarms, and may be the one that is dead."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

from edge_agent.command.gate_client import GateRefused, GateUnreachable
from shared.clock import Clock
from shared.contracts.envelope import TrustRoot
from shared.contracts.gate_command import AckParams, CommandView, GateCommand
from shared.contracts.gate_socket import GateStatus, PlanView
from shared.errors import ContractError
from shared.signing.dsse import Verified
from shared.signing.gate_commands import verify_gate_command

KEPT_ANSWERS = 32


class Gate(Protocol):
    """The gate process; see `GateClient`."""

    async def status(self) -> GateStatus: ...
    async def set_plan(self, envelope: Mapping[str, Any]) -> PlanView: ...
    async def show_plan(self) -> PlanView: ...
    async def run_command(self, envelope: Mapping[str, Any]) -> CommandView: ...


class OwnAlarms(Protocol):
    """The alarms of the agent; see `edge_agent.report.gate_guard.GateGuard`."""

    site: str

    def meant(self, alarm: str) -> tuple[str, ...]: ...
    def acknowledge(self, key: str, by: str, command_id: str) -> bool: ...


class GateWithOwnAlarms:
    """The gate process, and beside it the alarms that the agent raised for it. All but their acknowledgement is the gate's."""

    def __init__(self, gate: Gate, own: OwnAlarms, trust: TrustRoot, clock: Clock, tolerance_s: float) -> None:
        """`trust` holds the keys of who may command gates: central's is not among them. `tolerance_s`: clocks differ by so much."""
        self._gate = gate
        self._own = own
        self._trust = trust
        self._clock = clock
        self._tolerance = timedelta(seconds=tolerance_s)
        self._answers: OrderedDict[str, CommandView] = OrderedDict()

    async def status(self) -> GateStatus:
        """See `GateClient.status`."""
        return await self._gate.status()

    async def set_plan(self, envelope: Mapping[str, Any]) -> PlanView:
        """See `GateClient.set_plan`."""
        return await self._gate.set_plan(envelope)

    async def show_plan(self) -> PlanView:
        """See `GateClient.show_plan`."""
        return await self._gate.show_plan()

    async def run_command(self, envelope: Mapping[str, Any]) -> CommandView:
        """The gate's answer; to an acknowledgement of the agent's own alarms the agent's.

        Raises:
            GateUnreachable, GateRefused: as their names say.
            DiskFull, StoreUnavailable: the acknowledgement could not be kept.
        """
        verified = self._acknowledging(envelope)
        if verified is None:
            return await self._gate.run_command(envelope)
        command = verified.document
        if (known := self._answers.get(command.id)) is not None:
            return known.model_copy(update={"repeated": True})
        author = f"{command.author or 'unnamed'} (key {verified.keyids[0][:12]})"
        alarm = _alarm_of(command)
        reasons = [
            f"{key} acknowledged" if self._own.acknowledge(key, author, command.id) else f"{key} was acknowledged before"
            for key in self._own.meant(alarm)
        ]
        if not alarm:
            reasons += await self._of_the_gate(envelope)
        view = CommandView(id=command.id, verb=command.verb.value, accepted=True, reasons=tuple(reasons), at=self._clock.wall())
        self._answers[command.id] = view
        while len(self._answers) > KEPT_ANSWERS:
            self._answers.popitem(last=False)
        return view

    async def _of_the_gate(self, envelope: Mapping[str, Any]) -> tuple[str, ...]:
        try:
            return (await self._gate.run_command(envelope)).reasons
        except GateUnreachable:
            return ("the gate process does not answer: its own alarms stand as before",)
        except GateRefused as error:
            return () if error.code == "NothingToDo" else (f"the gate's own alarms stand as before: {error}",)

    def _acknowledging(self, envelope: Mapping[str, Any]) -> Verified[GateCommand] | None:
        """The command, where it acknowledges alarms of the agent and a person signed it for here and now; else the gate refuses it."""
        try:
            verified = verify_gate_command(json.dumps(dict(envelope)).encode(), self._trust)
        except (ContractError, TypeError, ValueError):
            return None
        command = verified.document
        if not isinstance(command.details, AckParams) or command.gate or command.site != self._own.site:
            return None
        if not self._own.meant(_alarm_of(command)) and command.id not in self._answers:
            return None
        return verified if self._is_for_now(command) else None

    def _is_for_now(self, command: GateCommand) -> bool:
        if not self._clock.is_synchronised():
            return True  # an old acknowledgement that turns up can do no harm
        now = self._clock.wall()
        return command.issued_at - self._tolerance <= now <= command.expires_at + self._tolerance


def _alarm_of(command: GateCommand) -> str:
    details = command.details
    return details.alarm if isinstance(details, AckParams) else ""
