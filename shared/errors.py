"""Error types of the house: what was wrong, where, and what to do about it. Pure.

The retry decision is in the type: `Retryable` may be tried again after `delay_s`, `Permanent` may not.
"""

from __future__ import annotations


class MunbonError(Exception):
    """Base of every error that Munbon raises on purpose.

    Args:
        message: what was wrong.
        subject: the thing it happened to (a node, an app, a file, an object), or empty.
        remedy: what a person can do, or empty.
    """

    exit_code = 1

    def __init__(self, message: str, *, subject: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.subject = subject
        self.remedy = remedy

    def __str__(self) -> str:
        head = f"{self.subject}: {self.message}" if self.subject else self.message
        return f"{head} ({self.remedy})" if self.remedy else head


class Retryable(MunbonError):
    """The same call may succeed later; `delay_s` is the least wait, in seconds."""

    exit_code = 5

    def __init__(self, message: str, *, subject: str = "", remedy: str = "", delay_s: float = 1.0) -> None:
        super().__init__(message, subject=subject, remedy=remedy)
        self.delay_s = delay_s


class Permanent(MunbonError):
    """The same call fails again until something else changes."""


class UsageError(Permanent):
    """The operator's input is wrong; nothing was changed."""

    exit_code = 2


class ContractError(Permanent):
    """A document does not keep its contract. `code` is stable and machine-readable."""

    code = "Malformed"


class Malformed(ContractError):
    """Not JSON, not an object, or a field is missing or wrong."""


class TooLarge(ContractError):
    """Larger than the stated limit; the message names both figures."""

    code = "TooLarge"


class UnsupportedVersion(ContractError):
    """The document's major version is unknown here."""

    code = "UnsupportedVersion"


class UnsupportedFeature(ContractError):
    """The document needs a critical feature that is unknown here."""

    code = "UnsupportedFeature"


class SignatureInvalid(ContractError):
    """Too few valid signatures by keys of the role that must sign."""

    code = "SignatureInvalid"


class DigestMismatch(ContractError):
    """Content is not what its digest says."""

    code = "DigestMismatch"


class OutOfOrder(ContractError):
    """Older than what was accepted before: a replay, or a restored copy."""

    code = "OutOfOrder"


class Expired(ContractError):
    """Its time was over when it was first seen."""

    code = "Expired"
