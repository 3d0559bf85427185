"""The keys that may sign plans and commands of this site, in a file that neither the agent nor central can write."""

from __future__ import annotations

from pathlib import Path

from shared.contracts.codec import decode
from shared.contracts.envelope import TrustRoot
from shared.durable_file import read_optional
from shared.errors import Permanent, Retryable


def read_trust_root(path: Path) -> TrustRoot:
    """The trust root as it is now; to be called away from the event loop.

    Raises:
        Permanent: it is missing.
        Retryable: the disk does not give it now.
        ContractError: it is no trust root.
    """
    try:
        raw = read_optional(path)
    except OSError as error:
        raise Retryable(f"trust root cannot be read: {error.strerror}", subject=str(path)) from error
    if raw is None:
        raise Permanent("trust root is missing", subject=str(path), remedy="install the one that the owner of this site made")
    return decode(raw, TrustRoot)
