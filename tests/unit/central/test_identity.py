"""Keys, tokens and passwords."""

from pathlib import Path

import pytest

from central.identity import keys, secrets
from shared.contracts.envelope import Role
from shared.errors import ContractError, UsageError
from shared.signing.dsse import sign_document, verify_document
from shared.signing.keys import generate_signer, load_signer, save_signer
from tests.builders_central import release


def test_init_makes_keys_that_sign_what_the_trust_root_allows_and_nothing_else(tmp_path: Path) -> None:
    made = keys.make_development_identity(tmp_path / "state")
    trust = keys.load_trust_root(tmp_path / "state")
    operator = load_signer(tmp_path / "state" / keys.OPERATOR_KEY)
    central = keys.load_central_signer(tmp_path / "state")
    keys.check_central_key(central, trust)
    assert trust == made.trust_root
    signed = sign_document(release(), [operator])
    assert verify_document(signed, type(release()), trust, Role.RELEASE).document == release()
    with pytest.raises(ContractError):
        verify_document(sign_document(release(), [central]), type(release()), trust, Role.RELEASE)


def test_private_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    made = keys.make_development_identity(tmp_path)
    for name in (keys.CENTRAL_KEY, keys.OPERATOR_KEY, keys.OPERATOR_TOKEN):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
    assert made.operator_token not in repr(made)
    assert (tmp_path / keys.OPERATOR_TOKEN).read_text().strip() == made.operator_token


@pytest.mark.parametrize("name", [keys.CENTRAL_KEY, keys.TRUST_ROOT, keys.OPERATOR_KEY, keys.OPERATOR_TOKEN])
def test_nothing_is_overwritten_and_nothing_made_beside_it(tmp_path: Path, name: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("precious")
    with pytest.raises(UsageError, match="not overwritten"):
        keys.make_development_identity(tmp_path)
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["precious"]


def test_missing_or_broken_files_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="restore a copy"):
        keys.load_central_signer(tmp_path)
    with pytest.raises(UsageError, match="restore a copy"):
        keys.load_trust_root(tmp_path)
    (tmp_path / keys.TRUST_ROOT).write_text("{")
    with pytest.raises(UsageError, match=r"not valid JSON.*restore a copy"):
        keys.load_trust_root(tmp_path)


def test_a_key_that_nodes_would_not_believe_is_noticed_at_start(tmp_path: Path) -> None:
    keys.make_development_identity(tmp_path)
    (tmp_path / keys.CENTRAL_KEY).unlink()
    save_signer(generate_signer(), tmp_path / keys.CENTRAL_KEY)
    with pytest.raises(UsageError, match="not listed"):
        keys.load_identity(tmp_path)


def test_tokens_and_passwords_are_long_different_and_kept_as_digests() -> None:
    tokens = {secrets.new_token() for _ in range(20)}
    assert len(tokens) == 20
    assert all(len(token) >= 43 and secrets.token_digest(token) != token for token in tokens)
    assert secrets.token_digest("\ud800") != secrets.token_digest("x")


def test_a_node_password_is_hashed_as_the_server_takes_it() -> None:
    password = secrets.new_node_password()
    hashed = secrets.hash_node_password(password)
    assert hashed.startswith("$2b$")
    assert secrets.check_node_password(password, hashed)
    assert not secrets.check_node_password(secrets.new_node_password(), hashed)
    assert not secrets.check_node_password(password, "no hash")
