"""The plan book: which plan is in force, what may replace it, and where it is kept over a restart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from edge_agent.gate_control.console.trust_file import read_trust_root
from edge_agent.gate_control.decide.plan import check_plan
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import Now
from shared.contracts.base import format_utc
from shared.contracts.codec import decode, parse_json_object
from shared.contracts.envelope import Role
from shared.contracts.gate_plan import GatePlan
from shared.contracts.gate_socket import PLAN_IN_FORCE, PLAN_STANDBY, GateRequest, JournalKind, PlanView
from shared.contracts.limits import MAX_ENVELOPE_BYTES
from shared.durable_file import read_optional, sync_folder, write_atomic
from shared.errors import ContractError, Malformed, MunbonError, OutOfOrder, Retryable
from shared.signing.dsse import verify_document

T = TypeVar("T")
OnDisk = Callable[[Callable[[], Any]], Awaitable[Any]]
Record = Callable[[JournalKind, dict[str, Any]], None]
PLAN_FILE = "gate-plan.json"
LOCAL_INVALID = "local_plan_invalid"
SAVE_WAIT_S = 2.0
"""Longer no answer waits for a slow disk."""


class PlanRefused(ContractError):
    """The plan is signed, but may not be obeyed here; the plan before it stays."""

    code = "PlanRefused"


@dataclass(frozen=True)
class AcceptedPlan:
    """A plan that was verified and checked."""

    plan: GatePlan
    digest: str
    envelope: bytes
    accepted_at: datetime | None


class PlanBook:
    """Verifies, keeps and gives plans. A new plan is in force as soon as it is checked; the disk follows.

    Control does not wait for the disk: a plan that could not be saved is in force, and saved later; should power
    fail before, central sees the older generation and delivers it again.
    """

    def __init__(
        self, site: SiteConfiguration, folder: Path, *, on_disk: OnDisk, saving: OnDisk, now: Callable[[], Now], record: Record
    ) -> None:
        """`folder` is where relative paths of the settings start; `saving` runs what may hang on a slow disk, apart from reading."""
        self._site = site
        self._on_disk = on_disk
        self._saving = saving
        self._now = now
        self._record = record
        self._trust_path = folder / site.trust_root
        self._local_path = folder / site.local_plan
        self._state_path = folder / site.state_dir / PLAN_FILE
        self._remote: AcceptedPlan | None = None
        self._local: GatePlan | None = None
        self._local_changes = 0
        """Made over the socket: what was read from the disk before one of them is old."""
        self._floor = (0, "")
        """Highest generation ever accepted here, and the digest of that plan."""
        self._is_saved = True
        self.problems: dict[str, str] = {}
        """By alarm name: what is wrong with plans on this disk."""

    def in_force(self) -> GatePlan | None:
        """The plan to obey: the local one while there is one, else the newest remote one.

        None also while a local plan is there and cannot be used: whoever made it has not given the gates back to central.
        """
        if self._local is not None or self._is_held():
            return self._local
        return self._remote.plan if self._remote is not None else None

    def _is_held(self) -> bool:
        return LOCAL_INVALID in self.problems

    def remote_generation(self) -> int:
        """Generation of the newest remote plan, 0 for none."""
        return self._remote.plan.generation if self._remote is not None else 0

    def view(self) -> PlanView:
        """The remote plan; `standby` while a local one outranks it."""
        local = self._local.to_json() if self._local is not None else None
        if self._remote is None:
            return PlanView(local=local)
        return PlanView(
            state=PLAN_STANDBY if self._local is not None or self._is_held() else PLAN_IN_FORCE,
            generation=self._remote.plan.generation,
            plan=self._remote.plan.to_json(),
            accepted_at=self._remote.accepted_at,
            local=local,
        )

    async def set_local(self, content: bytes, author: str) -> PlanView:
        """Put a plan made at the site in force; it outranks the remote one until a person releases it, also over restarts.

        Raises:
            ContractError: no plan, or against the site's own limits; nothing changed.
            Retryable: the disk does not take it in time: a local plan that a restart forgets would be none.
        """
        made = decode(content, GatePlan).model_copy(update={"author": author})
        self._check(made)
        text = json.dumps(made.to_json(), indent=2).encode() + b"\n"
        await self._change_local(lambda: write_atomic(self._local_path, text, mode=0o640), "written")
        self._local, self._local_changes = made, self._local_changes + 1
        self.problems.pop(LOCAL_INVALID, None)
        self._record(JournalKind.PLAN_ACCEPTED, {"generation": made.generation, "state": "local", "author": author})
        return self.view()

    async def release_local(self, author: str) -> str:
        """Withdraw the local plan in the name of a person; says what is in force now.

        Raises:
            PlanRefused: there is none.
            Retryable: the disk does not forget it in time.
        """
        if self._local is None and LOCAL_INVALID not in self.problems:
            raise PlanRefused("there is no local plan to release", subject="local plan")
        await self._change_local(self._remove_local, "removed")
        self._local, self._local_changes = None, self._local_changes + 1
        self.problems.pop(LOCAL_INVALID, None)
        self._record(JournalKind.PLAN_ACCEPTED, {"state": "local plan withdrawn", "by": author})
        return f"plan {self._remote.plan.generation} of central is in force" if self._remote is not None else "no plan is in force"

    def _remove_local(self) -> None:
        self._local_path.unlink(missing_ok=True)
        sync_folder(self._local_path.parent)

    async def _change_local(self, change: Callable[[], None], what: str) -> None:
        path, remedy = str(self._local_path), "see that the gate's user may write there and that the disk works"
        try:
            async with asyncio.timeout(SAVE_WAIT_S):
                await self._saving(change)
        except TimeoutError as error:
            raise Retryable(f"was not {what} within {SAVE_WAIT_S:g} s: the disk is slow", subject=path, remedy=remedy) from error
        except OSError as error:
            raise Retryable(f"cannot be {what}: {error.strerror}", subject=path, remedy=remedy) from error

    async def load(self) -> None:
        """Take up the saved plans, verified anew: keys and limits may have changed meanwhile. Never raises for their content."""
        # the one made at the site first: no scan may act on central's before it
        await self._look_for_local()
        try:
            saved = await self._on_disk(self._read_saved)
            # one that came meanwhile is newer, or it was refused
            self._remote = self._remote or saved
            self.problems.pop("plan_invalid", None)
        except (MunbonError, OSError, ValueError) as error:
            self._report("plan_invalid", f"saved plan is not used: {error}")
        await self.save()

    async def set(self, envelope: bytes) -> PlanView:
        """Put a signed plan in force. The same plan again changes nothing.

        Raises:
            ContractError: refused, with the reason; the plan before it stays.
            Permanent: the trust root cannot be read.
        """
        try:
            accepted = await self._on_disk(lambda: self._verify_after(envelope))
            repeated = self._check_order(accepted)
        except MunbonError as error:
            self._record(JournalKind.PLAN_REFUSED, {"code": getattr(error, "code", "PlanRefused"), "reason": str(error)})
            raise
        if repeated:
            return self.view()
        self._remote, self._is_saved = accepted, False
        self._floor = (accepted.plan.generation, accepted.digest)
        self.problems.pop("plan_invalid", None)
        self._record(
            JournalKind.PLAN_ACCEPTED,
            {"generation": accepted.plan.generation, "digest": accepted.digest, "state": self.view().state, "author": accepted.plan.author},
        )
        try:
            async with asyncio.timeout(SAVE_WAIT_S):
                await self.save()
        except TimeoutError:
            self._report("plan_not_saved", f"plan {accepted.plan.generation} is in force, its file is still being written")
        return self.view()

    async def save(self) -> None:
        """Write the plan in force to disk, if it is not there yet; a failure is an alarm, not an error."""
        accepted = self._remote
        if accepted is None or self._is_saved:
            return
        content = json.dumps(
            {
                "generation": accepted.plan.generation,
                "digest": accepted.digest,
                "accepted_at": format_utc(accepted.accepted_at) if accepted.accepted_at is not None else None,
                "envelope": accepted.envelope.decode(),
            }
        ).encode()
        try:
            await self._saving(lambda: write_atomic(self._state_path, content, mode=0o640))
        except (OSError, MunbonError) as error:
            self._report("plan_not_saved", f"plan {accepted.plan.generation} is in force but not on disk: {error}")
            return
        if self._remote is accepted:
            self._is_saved = True
            self.problems.pop("plan_not_saved", None)

    async def refresh(self) -> None:
        """Look at the local plan file again, and save what is not saved yet."""
        await self._look_for_local()
        await self.save()

    async def _look_for_local(self) -> None:
        changes = self._local_changes
        try:
            local = await self._on_disk(self._read_local)
            if changes != self._local_changes:
                return
            self.problems.pop(LOCAL_INVALID, None)
        except (MunbonError, OSError) as error:
            # what a person at the site put there stays in force until it can be read again or is withdrawn
            self._report(LOCAL_INVALID, f"local plan is not used: {error}")
            local = self._local
        if local != self._local:
            self._local = local
            data = {"generation": local.generation, "state": "local"} if local is not None else {"state": "local plan withdrawn"}
            self._record(JournalKind.PLAN_ACCEPTED, data)

    def _report(self, alarm: str, reason: str) -> None:
        if alarm not in self.problems and alarm != "plan_not_saved":
            self._record(JournalKind.PLAN_REFUSED, {"code": "PlanRefused", "reason": reason})
        self.problems[alarm] = reason

    def _check_order(self, accepted: AcceptedPlan) -> bool:
        """Whether it is the very plan that is in force; raises for an older one."""
        generation, (floor, digest) = accepted.plan.generation, self._floor
        if self._remote is not None and accepted.digest == self._remote.digest:
            return True
        if self._remote is not None and self._remote.plan.generation > floor:
            floor, digest = self._remote.plan.generation, self._remote.digest
        if generation < floor or (generation == floor and accepted.digest != digest):
            raise OutOfOrder(
                f"generation {generation} is not newer than {floor}, the newest accepted here",
                subject="GatePlan",
                remedy=f"sign it again with a generation above {floor}",
            )
        return False

    def _verify_after(self, envelope: bytes) -> AcceptedPlan:
        """Verified, and with the order known that the disk has: an old plan must not slip in before the saved one is taken up."""
        accepted = self._verify(envelope)
        if self._floor[0] == 0:
            with contextlib.suppress(MunbonError, OSError, ValueError):
                # what is wrong with the saved plan is told by `load`
                self._read_floor()
        return accepted

    def _read_floor(self) -> dict[str, Any] | None:
        """The saved plan as it lies there; the order holds also where the plan itself is no longer good."""
        raw = read_optional(self._state_path)
        if raw is None:
            return None
        saved = parse_json_object(raw, subject=str(self._state_path), max_bytes=2 * MAX_ENVELOPE_BYTES)
        self._floor = max(self._floor, (int(saved.get("generation", 0)), str(saved.get("digest", ""))), key=lambda floor: floor[0])
        return saved

    def _verify(self, envelope: bytes) -> AcceptedPlan:
        trust = read_trust_root(self._trust_path)
        verified = verify_document(envelope, GatePlan, trust, Role.GATE_PLAN)
        self._check(verified.document)
        return AcceptedPlan(verified.document, verified.digest, envelope, self._now().wall)

    def _check(self, plan: GatePlan) -> None:
        problems = check_plan(plan, self._site, self._now())
        if problems:
            raise PlanRefused("; ".join(problems), subject=f"GatePlan {plan.generation}", remedy="correct the plan and sign it again")

    def _read_saved(self) -> AcceptedPlan | None:
        saved = self._read_floor()
        if saved is None:
            return None
        envelope = str(saved.get("envelope", "")).encode()
        accepted = self._verify(envelope)
        accepted_at = None
        with contextlib.suppress(TypeError, ValueError):
            accepted_at = datetime.fromisoformat(str(saved.get("accepted_at")))
        return AcceptedPlan(accepted.plan, accepted.digest, envelope, accepted_at)

    def _read_local(self) -> GatePlan | None:
        raw = read_optional(self._local_path)
        if raw is None:
            return None
        found = self._local_path.stat()
        if found.st_uid not in (0, os.getuid()) or found.st_mode & 0o022:
            raise Malformed(
                "may be changed by others",
                subject=str(self._local_path),
                remedy="let it belong to root or to the gate's user, writable by its owner alone",
            )
        plan = decode(raw, GatePlan)
        self._check(plan)
        return plan


def envelope_bytes(request: GateRequest) -> bytes:
    """The envelope in a request, given as JSON object or as its text.

    Raises:
        Malformed: it is neither.
    """
    value = request.params.get("envelope")
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict):
        return json.dumps(value).encode()
    raise Malformed("params.envelope is missing", subject=request.operation.value, remedy="give a signed DSSE envelope")
