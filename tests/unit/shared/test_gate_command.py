"""A command is for one site, for now, and says all it needs; only keys of the gate's trust root can make one."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.codec import decode
from shared.contracts.envelope import Role, TrustRoot
from shared.contracts.gate_command import MAX_LIFETIME_S, OF_SITE, PARAMS, GateAction, GateCommand, GateVerb, MoveParams
from shared.errors import ContractError, Malformed, SignatureInvalid, TooLarge, UnsupportedFeature
from shared.signing.dsse import make_trust_root, sign_document
from shared.signing.gate_commands import verify_gate_command
from shared.signing.keys import signer_from_seed
from tests.contract.wire.record import NOW

OWNER = signer_from_seed(b"o" * 32, name="owner")
OPERATOR = signer_from_seed(b"p" * 32, name="operator")
CENTRAL = signer_from_seed(b"c" * 32, name="central")
PLANS_ONLY = make_trust_root({Role.GATE_PLAN: [OWNER.public], Role.COMMAND: [CENTRAL.public], Role.DESIRED: [CENTRAL.public]})
PARTED = make_trust_root({Role.GATE_PLAN: [OWNER.public], Role.GATE_COMMAND: [OPERATOR.public]})
GOOD_PARAMS: dict[GateVerb, dict[str, Any]] = {
    GateVerb.MOVE: {"opening_pct": 40.0},
    GateVerb.MODE: {"mode": "auto"},
    GateVerb.SERVICE: {"service": "out"},
    GateVerb.SHELVE: {"alarm": "stuck"},
    GateVerb.UNSHELVE: {"alarm": "stuck"},
}


def make_command(verb: GateVerb = GateVerb.MOVE, *, gate: str = "g1", **changes: Any) -> GateCommand:
    content = {
        "id": "0123456789abcdef",
        "site": "north",
        "gate": "" if verb is GateVerb.PLAN_RELEASE else gate,
        "verb": verb,
        "params": GOOD_PARAMS.get(verb, {}),
        "issued_at": NOW,
        "expires_at": NOW + timedelta(seconds=60),
    }
    return GateCommand.model_validate(content | changes)


@pytest.mark.parametrize("verb", list(GateVerb))
def test_each_verb_goes_over_the_wire_with_its_parameters(verb: GateVerb) -> None:
    command = make_command(verb)
    read = decode(json.dumps(command.to_json()).encode(), GateCommand)
    assert read == command
    assert isinstance(read.details, PARAMS[verb])


@pytest.mark.parametrize(
    ("verb", "changes", "said"),
    [
        (GateVerb.MOVE, {"params": {}}, "opening_pct"),
        (GateVerb.MOVE, {"params": {"opening_pct": 100.1}}, "opening_pct"),
        (GateVerb.MOVE, {"params": {"opening_pct": "nan"}}, "opening_pct"),
        (GateVerb.MOVE, {"params": {"opening_pct": 1.0, "expires_after_s": 0}}, "expires_after_s"),
        (GateVerb.MOVE, {"gate": ""}, "move needs a gate"),
        (GateVerb.MODE, {"params": {"mode": "LOCAL"}}, "mode"),
        (GateVerb.SERVICE, {"params": {}}, "service"),
        (GateVerb.SHELVE, {"params": {"alarm": ""}}, "alarm"),
        (GateVerb.SHELVE, {"params": {"alarm": "stuck", "for_s": 1e9}}, "for_s"),
        (GateVerb.PLAN_RELEASE, {"gate": "g1"}, "leave out the gate"),
        (GateVerb.STOP, {"gate": "G 1"}, "gate"),
        (GateVerb.STOP, {"id": "short"}, "id"),
        (GateVerb.STOP, {"expires_at": NOW}, "expires 0 s after its issue"),
        (GateVerb.STOP, {"expires_at": NOW + timedelta(seconds=MAX_LIFETIME_S + 1)}, "expires 3601 s after"),
        (GateVerb.STOP, {"verb": "open"}, "verb"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(verb: GateVerb, changes: dict[str, Any], said: str) -> None:
    content = make_command(verb).to_json() | json.loads(json.dumps(changes, default=lambda moment: moment.isoformat()))
    with pytest.raises(Malformed, match=said):
        decode(json.dumps(content).encode(), GateCommand)


def test_verbs_of_the_whole_site_need_no_gate() -> None:
    assert all(GateAction(verb=verb, params=GOOD_PARAMS.get(verb, {})).gate == "" for verb in OF_SITE)


def test_a_command_that_needs_what_we_do_not_know_or_is_too_large_is_refused() -> None:
    unknown = sign_document(make_command(critical=("two-person",)), [OWNER])
    with pytest.raises(UnsupportedFeature, match="two-person"):
        verify_gate_command(unknown, PLANS_ONLY)
    large = sign_document(make_command().model_copy(update={"note": "x" * GateCommand.MAX_BYTES}), [OWNER])
    with pytest.raises(TooLarge):
        verify_gate_command(large, PLANS_ONLY)


def test_keys_that_sign_plans_sign_commands_unless_the_trust_root_parts_them() -> None:
    by_owner, by_operator = (sign_document(make_command(), [signer]) for signer in (OWNER, OPERATOR))
    assert verify_gate_command(by_owner, PLANS_ONLY).document.details == MoveParams(opening_pct=40.0)
    assert verify_gate_command(by_operator, PARTED).document.gate == "g1"
    with pytest.raises(SignatureInvalid):
        verify_gate_command(by_owner, PARTED)


def test_centrals_key_cannot_command_a_gate_whatever_its_roles() -> None:
    with pytest.raises(SignatureInvalid, match="has 0 valid"):
        verify_gate_command(sign_document(make_command(), [CENTRAL]), PLANS_ONLY)


def test_a_trust_root_with_a_role_of_a_newer_version_is_still_read() -> None:
    content = PARTED.to_json()
    content["roles"]["gate_orders"] = {"keyids": [OWNER.keyid]}
    assert decode(json.dumps(content).encode(), TrustRoot) == PARTED


@given(content=st.dictionaries(st.sampled_from(["id", "site", "gate", "verb", "params", "issued_at", "expires_at"]), st.from_type(object)))
def test_any_content_is_read_or_refused_and_nothing_else(content: dict[str, Any]) -> None:
    raw = json.dumps({"kind": "GateCommand", "schema_version": "1.0", **content}, default=str).encode()
    try:
        decode(raw, GateCommand)
    except ContractError:
        return
