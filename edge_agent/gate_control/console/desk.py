"""The desk: where commands come in, signed from afar or asked by people at the site. Each is carried out once, by the scan alone.

The way of a command: verify, note its id (on disk, for a bounded time), hand it to the scan and wake it, answer with what the
scan made of it. A repeat gets the same answer and is not handed over again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from edge_agent.gate_control.console.callers import Caller, check_release
from edge_agent.gate_control.console.command_book import CommandBook, Entry
from edge_agent.gate_control.console.trust_file import read_trust_root
from edge_agent.gate_control.decide.command_check import WITHOUT_CLOCK, Refusal, check_command
from edge_agent.gate_control.decide.instructions import Instruction, Outcome
from edge_agent.gate_control.decide.modes import Place, Role
from edge_agent.gate_control.model.values import Now
from shared.contracts.codec import validate
from shared.contracts.envelope import TrustRoot
from shared.contracts.gate_command import CommandView, GateAction, GateCommand, GateVerb
from shared.contracts.gate_socket import JournalKind, SiteAction, SiteVerb
from shared.errors import ContractError, MunbonError, Retryable
from shared.signing.gate_commands import verify_gate_command

STORE_WAIT_S = 0.5
"""Longer no command waits for its id to be on a slow disk."""
DURABLE_WAIT_S = 1.0
BRIEF_WAIT_S = 0.3
"""For what a power cut may undo without harm."""
MUST_LAST = frozenset({*SiteVerb, GateVerb.STOP, GateVerb.MODE, GateVerb.SERVICE} - {SiteVerb.TAG_CLEAR})
"""Who was told that this is done relies on it: it must survive a power cut a moment later, or he is told that it might not."""
NOT_DURABLE = "it is not on the disk yet, and a power cut would undo it: make the gate safe by other means too"
TRUST_WAIT_S = 0.5
TAKEN_WITHIN_S = 3.0
"""A command that no scan took is withdrawn: nobody expects it to act later."""
ANSWERED_WITHIN_S = 10.0
HELD_UP_S = 20.0
"""So long after it was asked at the site nobody expects it to act any more; a stop always does."""
LOCAL_LIFETIME = timedelta(minutes=10)
RATE_COMMANDS, RATE_WINDOW_S = 30, 10.0
"""Commands that are looked at, from afar and at the site each; more are turned away unread. At the site a stop is always taken."""
MAX_WAITING = 32

Record = Callable[[JournalKind, str, dict[str, Any]], None]
OnDisk = Callable[[Callable[[], Any]], Awaitable[Any]]


class Busy(Retryable):
    """Too many at a time."""

    code = "Busy"


class Refused(ContractError):
    """Not carried out."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason, subject="gate command")
        self.code = code


@dataclass
class Pending:
    """An instruction on its way through one scan, which takes it and must answer it."""

    instruction: Instruction
    _outcome: asyncio.Future[Outcome] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _taken: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self) -> Pending:
        """The scan has it now: it will be answered."""
        self._taken.set()
        return self

    def answer(self, outcome: Outcome) -> None:
        """Once; a second answer is no answer."""
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    async def outcome(self) -> Outcome:
        """What became of it.

        Raises:
            TimeoutError: no scan took it in time, or the scan that did hangs.
        """
        async with asyncio.timeout(TAKEN_WITHIN_S):
            await self._taken.wait()
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            return await self._outcome


class Desk:
    """One site's desk. `arrived` wakes the scan, which takes what waits."""

    def __init__(
        self,
        site: str,
        gates: Collection[str],
        trust_root: Path,
        book: CommandBook,
        *,
        reading: OnDisk,
        now: Callable[[], Now],
        record: Record,
        release_plan: Callable[[str], Awaitable[str]],
        new_code: Callable[[], str],
        durable: Callable[[float], Awaitable[bool]],
        noted: Callable[[float], Awaitable[bool]],
    ) -> None:
        """A desk for these gates, whose keys stand in `trust_root`.

        Args:
            site: name of the site.
            gates: its gates.
            trust_root: path of the keys that may sign commands.
            book: ids and answers.
            reading: runs what may hang on a disk; nothing else should wait in it.
            now: the time.
            record: takes a line for the journal.
            release_plan: withdraws the local plan in the name of a person, and says what is in force then.
            new_code: some random digits, few enough to be typed.
            durable: whether the site's state is on the disk, after waiting for it at most so many seconds.
            noted: the same for the journal.
        """
        self._site = site
        self._gates = frozenset(gates)
        self._trust_root = trust_root
        self._book = book
        self._reading = reading
        self._now = now
        self._record = record
        self._release_plan = release_plan
        self._new_code = new_code
        self._durable, self._noted = durable, noted
        self._last_trust: TrustRoot | None = None
        self._started_at = now().wall
        self._waiting: deque[Pending] = deque()
        self._looked_at_s = {place: deque[float](maxlen=RATE_COMMANDS) for place in Place}
        self.arrived = asyncio.Event()

    def take(self) -> tuple[Pending, ...]:
        """All that waits, in the order of its coming; each must be answered by who takes it."""
        taken = tuple(pending.take() for pending in self._waiting)
        self._waiting.clear()
        self.arrived.clear()
        return taken

    async def run_signed(self, envelope: bytes) -> CommandView:
        """Carry out a signed command, once.

        Raises:
            ContractError: not signed by a key of the trust root, not for here, not for now, or a replay; nothing was done.
            Permanent: there is no trust root.
            Retryable: it was never read, and the disk does not give it now.
        """
        self._check_rate(Place.CENTRAL)
        try:
            verified = verify_gate_command(envelope, await self._trust())
            command: GateCommand = verified.document
            self._check_arrival(command, verified.digest)
        except MunbonError as error:
            self._record(JournalKind.COMMAND_REFUSED, "", {"code": getattr(error, "code", "Failed"), "reason": str(error)})
            raise
        action = GateAction(gate=command.gate, verb=command.verb, params=command.params)
        author = f"{command.author or 'unnamed'} (key {verified.keyids[0][:12]})"
        asked = Instruction(command.id, action, author, Role.MAINTAINER, Place.CENTRAL, command.note)
        return await self._once(asked, verified.digest, command.expires_at)

    async def run_local(
        self, request_id: str, action: GateAction | SiteAction, caller: Caller, note: str = "", asked_at_s: float | None = None
    ) -> CommandView:
        """Carry out what a person at the site asks, once for each request id of a user. `asked_at_s`: when, in seconds since boot.

        Raises:
            ContractError: the caller's role does not reach so far, no such gate here, or the id was used for something else; or it
                waited while the process was held up, and who asked has been told that no answer came.
        """
        if action.verb is not GateVerb.STOP:
            self._check_rate(Place.CONSOLE)
        if action.verb is GateVerb.PLAN_RELEASE:
            check_release(caller)
        if action.gate and action.gate not in self._gates:
            raise Refused("UnknownGate", f"gate {action.gate} is not at this site; it has {', '.join(sorted(self._gates))}")
        code = self._new_code() if action.verb is SiteVerb.TAG_CLEAR else ""
        asked = Instruction(f"local-{caller.uid}-{request_id}", action, caller.name, caller.role, Place.CONSOLE, note, code)
        if asked_at_s is not None and action.verb not in WITHOUT_CLOCK and self._book.find(asked.id) is None:
            _check_waited(self._now().monotonic_s - asked_at_s)
        digest = hashlib.sha256(action.model_dump_json().encode()).hexdigest()
        return await self._once(asked, digest, self._now().wall + LOCAL_LIFETIME)

    async def _once(self, asked: Instruction, digest: str, expires_at: datetime) -> CommandView:
        known = self._book.find(asked.id)
        if known is not None:
            return await self._repeat(asked, known, digest)
        entry = self._book.begin(asked.id, digest, expires_at, self._now().wall)
        await self._book.save(entry, STORE_WAIT_S)
        view = self._view(asked, _unknown())
        try:
            outcome = await self._kept(asked, await self._carry_out(asked))
            view = self._view(asked, outcome)
            self._note(asked, outcome)
            if outcome.accepted:
                await self._noted(_wait_s(asked))
        finally:
            # also when cancelled while it may be acting: a repeat must not act again
            self._book.finish(entry, view)
        return view

    async def _kept(self, asked: Instruction, outcome: Outcome) -> Outcome:
        """The outcome once it is on the disk, then the journal tells of it, then it is answered: a kill never leaves an answer alone."""
        if not outcome.accepted or await self._durable(_wait_s(asked)) or asked.action.verb not in MUST_LAST:
            return outcome
        return replace(outcome, reasons=(*outcome.reasons, NOT_DURABLE))

    async def _repeat(self, asked: Instruction, known: Entry, digest: str) -> CommandView:
        if known.digest != digest:
            raise _replayed(asked.id)
        if known.answer is None:
            view = self._view(asked, _unknown())
        else:
            view = await asyncio.shield(known.answer)
        return view.model_copy(update={"repeated": True})

    async def _carry_out(self, asked: Instruction) -> Outcome:
        if asked.action.verb is GateVerb.PLAN_RELEASE:
            return await self._release(asked)
        if len(self._waiting) >= MAX_WAITING:
            return Outcome(False, "Busy", f"{MAX_WAITING} commands wait already")
        pending = Pending(asked)
        self._waiting.append(pending)
        self.arrived.set()
        try:
            return await pending.outcome()
        except TimeoutError:
            if pending in self._waiting:
                return Outcome(False, "Unavailable", f"no scan took it within {TAKEN_WITHIN_S:g} s; it was withdrawn")
            return _unknown()
        finally:
            if pending in self._waiting:
                self._waiting.remove(pending)

    async def _release(self, asked: Instruction) -> Outcome:
        try:
            return Outcome(True, reasons=(await self._release_plan(asked.author),))
        except MunbonError as error:
            return Outcome(False, getattr(error, "code", "Failed"), str(error))

    async def _trust(self) -> TrustRoot:
        """The trust root as it is now; where the disk does not give it in time, as it was: a stop must not wait for a disk."""
        try:
            async with asyncio.timeout(TRUST_WAIT_S):
                self._last_trust = await self._reading(lambda: read_trust_root(self._trust_root))
        except (TimeoutError, Retryable) as error:
            if self._last_trust is None:
                raise Retryable(f"cannot be read now: {str(error) or 'the disk is slow'}", subject=str(self._trust_root)) from error
        return self._last_trust

    def _check_arrival(self, command: GateCommand, digest: str) -> None:
        known = self._book.find(command.id)
        if known is not None and known.digest == digest:
            return  # a repeat gets its answer, also after its expiry
        if known is not None:
            raise _replayed(command.id)
        refusal = check_command(command, self._site, self._gates, self._now())
        if refusal is None and not self._book.is_loaded and command.verb not in WITHOUT_CLOCK and command.issued_at < self._started_at:
            # it may have been carried out by the process before this one
            refusal = Refusal("Unavailable", "was issued before this gate process began, whose list of commands cannot be read yet")
        if refusal is not None:
            raise Refused(refusal.code, refusal.reason)

    def _check_rate(self, place: Place) -> None:
        """Each place has its own measure: a flood from afar keeps nobody at the site from acting."""
        now_s, recent_s = self._now().monotonic_s, self._looked_at_s[place]
        if len(recent_s) == RATE_COMMANDS and now_s - recent_s[0] < RATE_WINDOW_S:
            raise Busy(f"{RATE_COMMANDS} commands came within {RATE_WINDOW_S:g} s", subject="gate", delay_s=RATE_WINDOW_S)
        recent_s.append(now_s)

    def _note(self, asked: Instruction, outcome: Outcome) -> None:
        kind = JournalKind.COMMAND_ACCEPTED if outcome.accepted else JournalKind.COMMAND_REFUSED
        data = {"id": asked.id, "verb": asked.verb, "params": _params(asked.action), "by": asked.author, "from": asked.place.value}
        answer = {"code": outcome.code, "reason": outcome.reason, "reasons": list(outcome.reasons), "note": asked.note}
        self._record(kind, asked.action.gate, data | answer)

    def _view(self, asked: Instruction, outcome: Outcome) -> CommandView:
        return CommandView(
            id=asked.id,
            gate=asked.action.gate,
            verb=asked.verb,
            accepted=outcome.accepted,
            code=outcome.code,
            reason=outcome.reason,
            reasons=outcome.reasons,
            data=dict(outcome.data),
            at=self._now().wall,
        )


def action_of(params: dict[str, Any]) -> GateAction | SiteAction:
    """The action in the parameters of `act`.

    Raises:
        Malformed: names what is wrong.
    """
    if params.get("verb") in tuple(SiteVerb):
        return validate(params, SiteAction, subject="act")
    return validate(params, GateAction, subject="act")


def _check_waited(waited_s: float) -> None:
    if waited_s > HELD_UP_S:
        reason = f"was asked {waited_s:.0f} s ago, before this process, which was held up, could read it: nothing was done"
        raise Refused("Expired", reason)


def _wait_s(asked: Instruction) -> float:
    return DURABLE_WAIT_S if asked.action.verb in MUST_LAST else BRIEF_WAIT_S


def _replayed(command_id: str) -> Refused:
    return Refused("Replayed", f"id {command_id} was used for another command")


def _params(action: GateAction | SiteAction) -> dict[str, Any]:
    return action.params if isinstance(action, GateAction) else {"note": action.note, "holder": action.holder}


def _unknown() -> Outcome:
    reason = "the gate process ended, or was held up, while it was carried out: look at the gate, and send a new command if it is needed"
    return Outcome(False, "Interrupted", reason)
