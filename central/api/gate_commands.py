"""A gate command's way through central: verify, record, carry, record the answer. Central cannot make one, and keeps none."""

from __future__ import annotations

from typing import Any

from central.api import queries
from central.api.dependencies import ApiDependencies
from central.store import operations
from shared.contracts.command import CommandReply
from shared.contracts.gate_command import CommandView, GateCommand
from shared.errors import ContractError, Retryable, UsageError
from shared.messaging.errors import BusNoResponder
from shared.signing.digests import canonical_json
from shared.signing.dsse import Verified
from shared.signing.gate_commands import verify_gate_command

ANSWER_TIMEOUT_S = 15.0
_MAX_REASON = 2_000


async def run_command(dependencies: ApiDependencies, site: str, envelope: dict[str, Any], *, actor: str) -> CommandView:
    """The gate's answer. Where none came the view says `NodeOffline` (nothing happened) or `NoAnswer` (it may have).

    Raises:
        ContractError: malformed, or not signed by a key that may command gates.
        UsageError: it is for another site.
        NotFound: no node speaks for the site.
    """
    verified = verify_gate_command(canonical_json(envelope), dependencies.trust_root)
    command = verified.document
    if command.site != site:
        raise UsageError(f"is for site {command.site!r}, not {site!r}", subject="gate command", remedy="send it to its own site")
    node = await dependencies.database.read(lambda tx: queries.node_of_site(tx, site))
    await _note(dependencies, verified, {"node": node, "params": command.params, "note": command.note}, answered=False, actor=actor)
    try:
        reply = await dependencies.courier.run_command(node, envelope, actor=actor, timeout_s=ANSWER_TIMEOUT_S)
        view = _view(command, reply)
    except BusNoResponder:
        view = _no_answer(command, "NodeOffline", f"{node} is offline; a command is for now and is not kept")
    except (Retryable, ContractError) as error:
        view = _no_answer(command, "NoAnswer", f"{error}; it may have been carried out: look at the gate, or send the same command again")
    answer = {"accepted": view.accepted, "code": view.code, "reason": view.reason[:_MAX_REASON]}
    await _note(dependencies, verified, answer, answered=True, actor=actor)
    return view


def _view(command: GateCommand, reply: CommandReply) -> CommandView:
    if reply.accepted:
        return CommandView.model_validate(reply.data)
    return _no_answer(command, reply.code, reply.reason)


def _no_answer(command: GateCommand, code: str, reason: str) -> CommandView:
    return CommandView(id=command.id, gate=command.gate, verb=command.verb.value, accepted=False, code=code, reason=reason)


async def _note(
    dependencies: ApiDependencies, verified: Verified[GateCommand], more: dict[str, Any], *, answered: bool, actor: str
) -> None:
    """The audit says who sent what, by which key, and what the gate answered; a refusal is a line too."""
    command, now = verified.document, dependencies.clock.wall()
    details = {
        "id": command.id,
        "gate": command.gate,
        "verb": command.verb.value,
        "digest": verified.digest,
        "signed_by": verified.keyids[0],
    }
    await dependencies.database.run(
        lambda tx: operations.note_gate_command(tx, command.site, details | more, answered=answered, actor=actor, at=now)
    )
