"""Who calls on `gate.sock`, and what each may ask. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.gate_control.decide.modes import Role
from shared.contracts.gate_socket import GateOperation
from shared.errors import ContractError


class NotAllowed(ContractError):
    """The caller's role does not reach so far."""

    code = "NotAllowed"


@dataclass(frozen=True)
class Caller:
    """A user of this machine, by the kernel's word."""

    uid: int
    name: str
    role: Role


_OPERATIONS: Mapping[GateOperation, Role] = {
    GateOperation.STATUS: Role.VIEWER,
    GateOperation.PLAN_SET: Role.VIEWER,
    GateOperation.PLAN_SHOW: Role.VIEWER,
    GateOperation.JOURNAL_READ: Role.VIEWER,
    GateOperation.COMMAND_RUN: Role.VIEWER,
    GateOperation.ACT: Role.OPERATOR,
    GateOperation.PLAN_SET_LOCAL: Role.OPERATOR,
}


def role_of(uid: int, own_uid: int, roles: Mapping[int, str]) -> Role | None:
    """A user's role: root and the gate's own user maintain; others have what the configuration gives them, or nothing."""
    if uid in (0, own_uid):
        return Role.MAINTAINER
    named = roles.get(uid)
    return Role[named.upper()] if named is not None else None


def check_operation(caller: Caller, operation: GateOperation) -> None:
    """Nothing where the caller may ask for it.

    Raises:
        NotAllowed: names the role that it takes.
    """
    _check(caller, _OPERATIONS[operation], operation.value)


def check_release(caller: Caller) -> None:
    """Nothing where the caller may release the local plan; what other acts take is `mode_commands`' to say.

    Raises:
        NotAllowed: names the role that it takes.
    """
    _check(caller, Role.MAINTAINER, "plan_release")


def _check(caller: Caller, needed: Role, what: str) -> None:
    if caller.role < needed:
        raise NotAllowed(
            f"{what} takes role {needed.name.lower()}, {caller.name} is {caller.role.name.lower()}",
            subject="gate",
            remedy="ask somebody who has it, or give the role in console_roles of the gate's configuration",
        )
