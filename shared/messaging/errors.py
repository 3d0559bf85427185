"""What can go wrong on the bus, by what it means for the next try."""

from __future__ import annotations

from shared.errors import Permanent, Retryable


class BusUnavailable(Retryable):
    """No connection, or no answer in time. What was sent may have arrived all the same."""


class BusNoResponder(BusUnavailable):
    """Nobody listens on the subject now: the node is offline, or the stream is not there."""


class BusRefused(Retryable):
    """The server answered, and said no: a full stream, a missing one, a wrong sequence.

    Args:
        err_code: the server's own number for it, 0 where it gave none.
    """

    def __init__(self, message: str, *, subject: str = "", remedy: str = "", err_code: int = 0, delay_s: float = 5.0) -> None:
        super().__init__(message, subject=subject, remedy=remedy, delay_s=delay_s)
        self.err_code = err_code


class BusDenied(Permanent):
    """The login or its permissions do not allow it."""
