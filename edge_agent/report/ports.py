"""What reporting needs: a session on the bus, and the gate process."""

from __future__ import annotations

from typing import Protocol

from shared.contracts.gate_socket import GateStatus, JournalPage
from shared.messaging.session import PubAck


class ReportSession(Protocol):
    """One connection; see `shared.messaging.session.BusSession`."""

    @property
    def is_healthy(self) -> bool: ...

    async def publish_event(self, subject: str, body: bytes, message_id: str) -> PubAck: ...
    async def publish(self, subject: str, body: bytes) -> None: ...


class JournalGate(Protocol):
    """The gate process; see `edge_agent.command.gate_client.GateClient`."""

    async def status(self) -> GateStatus: ...
    async def read_journal(self, after: int, limit: int, wait_s: float) -> JournalPage: ...
