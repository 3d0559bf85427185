"""Takes commands in: verifies, obeys once, answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Protocol

from edge_agent.command.alarm_desk import Gate
from edge_agent.command.gate_client import GateRefused, GateUnreachable
from edge_agent.store.state import StateStore
from shared.clock import Clock
from shared.contracts.command import (
    VERB_GATE_COMMAND_RUN,
    VERB_GATE_PLAN_SET,
    VERB_GATE_PLAN_SHOW,
    VERB_GATE_STATUS,
    VERB_PING,
    Command,
    CommandReply,
)
from shared.contracts.envelope import Role, TrustRoot
from shared.contracts.subjects import command as command_subject
from shared.contracts.subjects import commands
from shared.errors import ContractError, MunbonError, Retryable
from shared.messaging.session import BusMessage
from shared.observability import get_logger
from shared.signing.dsse import verify_document

CLOCK_TOLERANCE_S = 120.0
"""Clocks at canal gates differ."""
AT_ONCE = 8

_log = get_logger(__name__)


class CommandSession(Protocol):
    """One connection; see `shared.messaging.session.BusSession`."""

    async def subscribe(self, subject: str, handler: Callable[[BusMessage], Awaitable[None]]) -> None: ...


class _Refused(MunbonError):
    """What is answered instead of obeying."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class CommandHandler:
    """Answers commands for as long as there is a session."""

    def __init__(
        self,
        store: StateStore,
        trust: TrustRoot,
        node: str,
        clock: Clock,
        gate: Gate | None,
        describe: Callable[[], dict[str, Any]],
    ) -> None:
        """`describe` gives what `ping` answers."""
        self._store = store
        self._trust = trust
        self._node = node
        self._clock = clock
        self._gate = gate
        self._describe = describe
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, session: CommandSession) -> None:
        """Answer until cancelled.

        Raises:
            BusUnavailable: the session is of no use any more.
        """
        await session.subscribe(commands(self._node), self._receive)
        try:
            await asyncio.Event().wait()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _receive(self, message: BusMessage) -> None:
        # each in a task of its own: one that waits for the gate must not keep a ping waiting
        task = asyncio.create_task(self._respond(message))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _respond(self, message: BusMessage) -> None:
        try:
            await message.respond((await self.answer(message.subject, message.body)).model_dump_json().encode())
        except MunbonError as error:
            _log.warning("answer could not be sent", subject=message.subject, reason=str(error))
        except Exception:  # noqa: BLE001 - outermost guard of the task: a bad command harms itself alone
            _log.exception("command failed", subject=message.subject)

    async def answer(self, subject: str, body: bytes) -> CommandReply:
        """The answer to one command. Never raises an error of the house: a refusal is an answer too."""
        command: Command | None = None
        try:
            if len(self._running) > AT_ONCE:
                raise _Refused("Busy", f"{AT_ONCE} commands are being obeyed already")
            command = self._verify(subject, body)
            data = await self._obey(command)
        except (_Refused, ContractError, GateRefused, GateUnreachable) as error:
            _log.warning("command refused", subject=subject, code=error.code, reason=str(error))
            return self._reply(command, accepted=False, code=error.code, reason=str(error))
        except Retryable as error:
            return self._reply(command, accepted=False, code="Unavailable", reason=str(error))
        except MunbonError as error:
            return self._reply(command, accepted=False, code="Failed", reason=str(error))
        _log.info("command obeyed", verb=command.verb, actor=command.actor, command_id=command.command_id)
        return self._reply(command, accepted=True, data=data)

    def _verify(self, subject: str, body: bytes) -> Command:
        """A command that may be obeyed, its id used up.

        The clock is asked only where it is known to be right: a node without one must stay within reach, and the id
        is obeyed once in any case.
        """
        command = verify_document(body, Command, self._trust, Role.COMMAND).document
        if command.node != self._node or subject != command_subject(self._node, command.verb):
            raise _Refused("WrongAddress", f"is {command.verb} for {command.node}, it came on {subject}")
        now = self._clock.wall() if self._clock.is_synchronised() else None
        tolerance = timedelta(seconds=CLOCK_TOLERANCE_S)
        if now is not None and now > command.expires_at + tolerance:
            raise _Refused("Expired", f"was good until {command.expires_at.isoformat()}, here it is {now.isoformat()}")
        if not self._store.nonces.use(command.command_id, command.expires_at + tolerance, now):
            raise _Refused("Replayed", "was obeyed before")
        return command

    async def _obey(self, command: Command) -> dict[str, Any]:
        match command.verb:
            case v if v == VERB_PING:
                return self._describe()
            case v if v == VERB_GATE_PLAN_SET:
                return (await self._the_gate().set_plan(_envelope(command))).to_json()
            case v if v == VERB_GATE_COMMAND_RUN:
                return (await self._the_gate().run_command(_envelope(command))).to_json()
            case v if v == VERB_GATE_PLAN_SHOW:
                return (await self._the_gate().show_plan()).to_json()
            case v if v == VERB_GATE_STATUS:
                return (await self._the_gate().status()).to_json()
            case unknown:
                raise _Refused("UnknownVerb", f"verb {unknown!r} is not known here")

    def _the_gate(self) -> Gate:
        if self._gate is None:
            raise _Refused("NoGate", "this node has no gate: its agent.toml has no [gate]")
        return self._gate

    def _reply(
        self, command: Command | None, *, accepted: bool, code: str = "", reason: str = "", data: dict[str, Any] | None = None
    ) -> CommandReply:
        command_id = command.command_id if command is not None else ""
        return CommandReply(command_id=command_id, node=self._node, accepted=accepted, code=code, reason=reason[:2_000], data=data or {})


def _envelope(command: Command) -> dict[str, Any]:
    """What a person signed; only the gate process can tell whether it is good."""
    envelope = command.payload.get("envelope")
    if not isinstance(envelope, dict):
        raise _Refused("Malformed", f"payload.envelope of {command.verb} must be a signed DSSE envelope")
    return envelope
