"""What can come instead of an answer."""

from __future__ import annotations

from shared.errors import Retryable


class NoAnswer(Retryable):
    """The line or the unit did not answer, or what came was no answer to the request."""

    may_be_done = True
    """A write may have reached the unit all the same."""


class LineDown(NoAnswer):
    """There is no line to the unit now. Says nothing about the unit, and costs no time."""

    may_be_done = False


class Refused(Retryable):
    """The unit answered with an exception code."""

    def __init__(self, message: str, *, code: int, subject: str = "") -> None:
        super().__init__(message, subject=subject)
        self.code = code
