"""Central's key, the trust root, and the development operator, all made by `munbon-central init`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from central.identity.secrets import new_token, token_digest
from shared.contracts.codec import decode
from shared.contracts.envelope import PublicKey, Role, TrustRoot
from shared.durable_file import read_optional, sync_folder, write_atomic
from shared.errors import ContractError, UsageError
from shared.signing.digests import canonical_json
from shared.signing.dsse import make_trust_root
from shared.signing.keys import Signer, generate_signer, load_signer, save_signer

CENTRAL_KEY = Path("keys") / "central.key"
TRUST_ROOT = Path("trust-root.json")
OPERATOR_FOLDER = Path("dev-operator")
OPERATOR_KEY = OPERATOR_FOLDER / "operator.key"
OPERATOR_TOKEN = OPERATOR_FOLDER / "token"
OPERATOR_NAME = "dev-operator"

# no word of `init` or of a new key: nodes believe only what their own trust root lists
_KEY_REMEDY = "restore a copy of it; nodes believe no other key"
_TRUST_REMEDY = "restore a copy of it; each node has the same in its own folder"


@dataclass(frozen=True)
class DevelopmentIdentity:
    """What `make_development_identity` made. The token is to be given to the operator, and stored only as its digest."""

    central: Signer
    operator: Signer
    trust_root: TrustRoot
    operator_name: str
    operator_token: str = field(repr=False)
    operator_token_digest: str


def make_development_identity(state_dir: Path) -> DevelopmentIdentity:
    """Make central's key (signs Desired and Command), an operator's key (Release and GatePlan), a token, and the trust root.

    The folder `dev-operator` is meant to be moved to a laptop: central never reads it.

    Raises:
        UsageError: any of the files exists; nothing was made.
        OSError: a file cannot be written.
    """
    _refuse_existing(state_dir)
    for folder in (state_dir, state_dir / CENTRAL_KEY.parent, state_dir / OPERATOR_FOLDER):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    central, operator = generate_signer(name="central"), generate_signer(name=OPERATOR_NAME)
    roles: dict[Role, Sequence[PublicKey]] = {
        Role.RELEASE: [operator.public],
        Role.GATE_PLAN: [operator.public],
        Role.DESIRED: [central.public],
        Role.COMMAND: [central.public],
    }
    trust_root = make_trust_root(roles)
    token = new_token()
    save_signer(central, state_dir / CENTRAL_KEY)
    save_signer(operator, state_dir / OPERATOR_KEY)
    write_atomic(state_dir / OPERATOR_TOKEN, f"{token}\n".encode(), mode=0o600)
    for folder in (CENTRAL_KEY.parent, OPERATOR_FOLDER):
        sync_folder(state_dir / folder)
    # last: a trust root means that all of it is there
    write_atomic(state_dir / TRUST_ROOT, canonical_json(trust_root.to_json()) + b"\n")
    return DevelopmentIdentity(central, operator, trust_root, OPERATOR_NAME, token, token_digest(token))


def load_central_signer(state_dir: Path) -> Signer:
    """Central's own key.

    Raises:
        UsageError: it is missing, unreadable, or no Ed25519 key.
    """
    path = state_dir / CENTRAL_KEY
    if not path.exists():
        raise UsageError("is missing", subject=str(path), remedy=_KEY_REMEDY)
    try:
        return load_signer(path, name="central")
    except UsageError as error:
        raise UsageError(error.message, subject=str(path), remedy=_KEY_REMEDY) from error


def load_trust_root(state_dir: Path) -> TrustRoot:
    """Which keys may sign what.

    Raises:
        UsageError: it is missing, cannot be read, or is no trust root.
    """
    path = state_dir / TRUST_ROOT
    try:
        content = read_optional(path)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", subject=str(path), remedy="check its owner and rights") from error
    if content is None:
        raise UsageError("is missing", subject=str(path), remedy=_TRUST_REMEDY)
    try:
        return decode(content, TrustRoot, subject=str(path))
    except ContractError as error:
        raise UsageError(error.message, subject=str(path), remedy=_TRUST_REMEDY) from error


def load_identity(state_dir: Path) -> tuple[Signer, TrustRoot]:
    """Central's key and the trust root that lists it: before anything is started.

    Raises:
        UsageError: one of them is missing or cannot be read, or they do not belong together.
    """
    signer, trust_root = load_central_signer(state_dir), load_trust_root(state_dir)
    check_central_key(signer, trust_root)
    return signer, trust_root


def check_central_key(signer: Signer, trust_root: TrustRoot) -> None:
    """Whether nodes will believe what this key signs.

    Raises:
        UsageError: the trust root does not list it for Desired and Command.
    """
    for role in (Role.DESIRED, Role.COMMAND):
        if role not in trust_root.roles or signer.keyid not in trust_root.roles[role].keyids:
            raise UsageError(
                f"key {signer.keyid[:12]} is not listed for role {role.value!r} in the trust root",
                subject=str(CENTRAL_KEY),
                remedy="nodes would refuse what central signs; restore the key that belongs to trust-root.json",
            )


def _refuse_existing(state_dir: Path) -> None:
    for name in (CENTRAL_KEY, TRUST_ROOT, OPERATOR_KEY, OPERATOR_TOKEN):
        if (state_dir / name).exists():
            raise UsageError(
                "exists and is not overwritten", subject=str(state_dir / name), remedy="use another --state-dir or move it away"
            )
