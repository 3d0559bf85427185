"""Who may command a gate: keys of role `gate_command`, and where a trust root has no such role those of `gate_plan`."""

from __future__ import annotations

from shared.contracts.envelope import Role, TrustRoot
from shared.contracts.gate_command import COMMAND_FEATURES, GateCommand
from shared.signing.dsse import Verified, verify_document


def command_role(trust: TrustRoot) -> Role:
    """The role whose keys sign commands by this trust root."""
    return Role.GATE_COMMAND if Role.GATE_COMMAND in trust.roles else Role.GATE_PLAN


def verify_gate_command(raw: bytes, trust: TrustRoot) -> Verified[GateCommand]:
    """A command whose signatures hold; whether it is for here and now is the gate's to judge.

    Raises:
        TooLarge, Malformed: no envelope, or no command in it.
        SignatureInvalid: fewer valid signatures than the role's threshold.
        UnsupportedVersion, UnsupportedFeature: signed, but unknown here.
    """
    return verify_document(raw, GateCommand, trust, command_role(trust), features=COMMAND_FEATURES)
