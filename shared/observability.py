"""Structured logs on standard error: one JSON object a line for machines, key=value for people at a terminal."""

from __future__ import annotations

import logging
import sys
from typing import TextIO, cast

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logging(program: str, *, level: str = "info", stream: TextIO | None = None, as_json: bool | None = None) -> None:
    """Send all logs of this process to `stream` (default: standard error).

    Args:
        program: bound to every line as `program`.
        level: `debug`, `info`, `warning` or `error`.
        stream: where lines go.
        as_json: None means JSON unless the stream is a terminal.

    Raises:
        ValueError: unknown level.
    """
    if level not in _LEVELS:
        raise ValueError(f"unknown log level {level!r}: use one of {', '.join(_LEVELS)}")
    target = stream if stream is not None else sys.stderr
    json_lines = not target.isatty() if as_json is None else as_json
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if json_lines
        else structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"])
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(program=program)
    logging.basicConfig(level=logging.WARNING, stream=target, format="%(name)s: %(message)s")


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Logger of one module; `name` is bound as `module` (structlog keeps `logger` for itself)."""
    return cast("structlog.stdlib.BoundLogger", structlog.get_logger(module=name))
