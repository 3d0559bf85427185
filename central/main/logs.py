"""Lines of libraries that log through the standard library, as JSON lines like our own."""

from __future__ import annotations

import logging

from shared.observability import configure_logging, get_logger

_CHATTY = ("uvicorn.error", "uvicorn.access", "alembic", "sqlalchemy")


class _Forwarder(logging.Handler):
    """Gives a record of the standard library to structlog."""

    def __init__(self) -> None:
        super().__init__()
        self._log = get_logger("library")

    def emit(self, record: logging.LogRecord) -> None:
        write = {"ERROR": self._log.error, "CRITICAL": self._log.error, "WARNING": self._log.warning}.get(record.levelname, self._log.info)
        write(record.getMessage(), library=record.name, exc_info=record.exc_info or None)


def configure_central_logging(level: str) -> None:
    """JSON lines on standard error, ours and the libraries'."""
    configure_logging("munbon-central", level=level)
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(_Forwarder())
    root.setLevel(logging.WARNING)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
