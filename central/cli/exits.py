"""Exit codes of `munbon`; part of its contract with scripts (docs/reference/cli.md)."""

from __future__ import annotations

from shared.errors import MunbonError

OK = 0
FAILED = 1
USAGE = 2
REFUSED = 3
NOT_FOUND = 4
UNREACHABLE = 5
NOT_AUTHORISED = 6
ROLLOUT_FAILED = 7
TIMED_OUT = 8
INTERRUPTED = 130


class CliError(MunbonError):
    """An error with its exit code and the API's stable word for it."""

    def __init__(self, message: str, *, exit_code: int, subject: str = "", remedy: str = "", code: str = "") -> None:
        super().__init__(message, subject=subject, remedy=remedy)
        self.exit_code = exit_code
        self.code = code


def of_status(status: int) -> int:
    """Exit code for an HTTP status of central."""
    if status in (401, 403):
        return NOT_AUTHORISED
    if status == 404:
        return NOT_FOUND
    if status in (400, 413):
        return USAGE
    if status in (409, 422):
        return REFUSED
    return UNREACHABLE if status in (502, 503, 504) else FAILED
