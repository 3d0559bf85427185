"""Signatures are real: what a key of the role did not sign, is not believed."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as ReferenceEnvelope
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]  # re-exported without __all__

from shared.contracts.desired import Desired
from shared.contracts.envelope import PublicKey, Role, payload_type
from shared.contracts.release import Release
from shared.errors import ContractError, DigestMismatch, Malformed, SignatureInvalid, TooLarge, UnsupportedFeature, UsageError
from shared.signing.digests import canonical_json, check_digest, pack_blob, sha256_hex, unpack_blob
from shared.signing.dsse import make_trust_root, sign_document, verify_document
from shared.signing.keys import generate_signer, key_id, load_signer, save_signer, signer_from_seed
from tests.contract.wire.record import NOW, examples

OPERATOR = signer_from_seed(b"o" * 32, name="operator")
CENTRAL = signer_from_seed(b"c" * 32, name="central")
STRANGER = signer_from_seed(b"s" * 32, name="stranger")
TRUST = make_trust_root({Role.RELEASE: [OPERATOR.public], Role.DESIRED: [CENTRAL.public]})
RELEASE = Release.model_validate(examples()["release"])
KNOWN = {"sync-waves"}


def test_a_signed_release_is_verified_and_its_digest_is_that_of_the_payload() -> None:
    raw = sign_document(RELEASE, [OPERATOR])
    verified = verify_document(raw, Release, TRUST, Role.RELEASE, features=KNOWN)
    assert verified.document == RELEASE
    assert verified.keyids == (OPERATOR.keyid,)
    assert verified.digest == sha256_hex(base64.b64decode(json.loads(raw)["payload"]))


@pytest.mark.parametrize("signer", [STRANGER, CENTRAL], ids=["a stranger", "central, whose role is another"])
def test_a_release_signed_by_somebody_else_is_refused(signer: object) -> None:
    with pytest.raises(SignatureInvalid, match="needs 1"):
        verify_document(sign_document(RELEASE, [signer]), Release, TRUST, Role.RELEASE, features=KNOWN)  # type: ignore[list-item]


def test_a_release_that_was_changed_after_signing_is_refused() -> None:
    envelope = json.loads(sign_document(RELEASE, [OPERATOR]))
    envelope["payload"] = base64.b64encode(canonical_json({**RELEASE.to_json(), "version": "6.6.6"})).decode()
    with pytest.raises(SignatureInvalid):
        verify_document(json.dumps(envelope).encode(), Release, TRUST, Role.RELEASE, features=KNOWN)


def test_the_same_signature_twice_counts_once() -> None:
    strict = TRUST.model_copy(update={"roles": {Role.RELEASE: TRUST.roles[Role.RELEASE].model_copy(update={"threshold": 2})}})
    envelope = json.loads(sign_document(RELEASE, [OPERATOR]))
    envelope["signatures"] *= 2
    with pytest.raises(SignatureInvalid, match="has 1 valid"):
        verify_document(json.dumps(envelope).encode(), Release, strict, Role.RELEASE, features=KNOWN)


def test_a_desired_state_cannot_pass_for_a_release() -> None:
    desired = Desired(node="pi-1", epoch=1, generation=1, issued_at=NOW)
    with pytest.raises(Malformed, match="payload type"):
        verify_document(sign_document(desired, [OPERATOR]), Release, TRUST, Role.RELEASE)


def test_an_unknown_critical_feature_is_told_apart_from_a_bad_signature() -> None:
    with pytest.raises(UnsupportedFeature, match="sync-waves"):
        verify_document(sign_document(RELEASE, [OPERATOR]), Release, TRUST, Role.RELEASE)


def test_securesystemslib_verifies_our_envelopes_and_agrees_on_key_ids() -> None:
    reference = ReferenceEnvelope.from_dict(json.loads(sign_document(RELEASE, [OPERATOR])))
    key = SSlibKey(OPERATOR.keyid, "ed25519", "ed25519", {"public": OPERATOR.public.public_hex})
    assert reference.verify([key], 1) == {OPERATOR.keyid: key}


def test_we_verify_envelopes_of_securesystemslib() -> None:
    signer = CryptoSigner.generate_ed25519()
    envelope = ReferenceEnvelope(canonical_json(RELEASE.to_json()), payload_type("Release"), {})
    envelope.sign(signer)
    public = PublicKey(keyval={"public": signer.public_key.keyval["public"]})
    assert key_id(public) == signer.public_key.keyid
    trust = make_trust_root({Role.RELEASE: [public]})
    raw = json.dumps(envelope.to_dict()).encode()
    assert verify_document(raw, Release, trust, Role.RELEASE, features=KNOWN).document == RELEASE


@given(st.binary(max_size=300))
def test_garbage_is_refused_not_a_crash(raw: bytes) -> None:
    with pytest.raises(ContractError):
        verify_document(raw, Release, TRUST, Role.RELEASE)


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=7))
def test_no_flipped_bit_of_an_envelope_is_believed(place: int, bit: int) -> None:
    raw = bytearray(sign_document(RELEASE, [OPERATOR]))
    raw[place % len(raw)] ^= 1 << bit
    try:
        verified = verify_document(bytes(raw), Release, TRUST, Role.RELEASE, features=KNOWN)
    except ContractError:
        return
    assert verified.document == RELEASE  # a bit of JSON's white space or of base64's unused ones


def test_a_private_key_is_written_for_its_owner_only_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "operator.key"
    signer = generate_signer(name="operator")
    save_signer(signer, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_signer(path).keyid == signer.keyid
    assert signer.sign(b"x").hex() not in repr(signer)
    with pytest.raises(UsageError, match="not overwritten"):
        save_signer(signer, path)


@pytest.mark.parametrize("text", ["", "hello", "-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key_is_refused_with_the_way_to_make_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.key"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"bad\.key"):
        load_signer(path)


@given(st.binary(max_size=2_000))
def test_a_blob_unpacks_to_what_was_packed_and_has_one_digest(content: bytes) -> None:
    assert unpack_blob(pack_blob(content), "gzip") == content
    assert pack_blob(content) == pack_blob(content)


def test_a_small_blob_that_unpacks_to_gigabytes_is_stopped_at_the_limit() -> None:
    with pytest.raises(TooLarge, match="more than 1000 bytes"):
        unpack_blob(pack_blob(b"0" * 5_000_000), "gzip", max_bytes=1_000)


def test_a_cut_or_garbled_blob_is_refused() -> None:
    with pytest.raises(Malformed, match="cut short"):
        unpack_blob(pack_blob(b"abc" * 100)[:-4], "gzip")
    with pytest.raises(Malformed, match="gzip"):
        unpack_blob(b"nonsense", "gzip")


def test_a_wrong_digest_names_both() -> None:
    with pytest.raises(DigestMismatch, match="expected 00"):
        check_digest(b"x", "00" * 32, subject="blob")
