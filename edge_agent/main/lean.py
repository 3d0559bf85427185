"""What the agent does without, to stay small beside the gate and K3s on a Pi."""

from __future__ import annotations

import importlib
import ssl
from types import ModuleType
from typing import Any

HTTP_CLIENT = "aiohttp"


def _load_nothing(_context: ssl.SSLContext, *_arguments: Any) -> None:
    return


def import_http_client() -> ModuleType:
    """Import the HTTP client without the system's certificate authorities.

    It reads them all into a default TLS context while it is imported: 1 MiB and 70 ms (on a Pi more) that nobody here uses, as each
    connection to the bus or the cluster has a context of its own. Contexts made later get them as ever.
    """
    load = ssl.SSLContext.load_default_certs
    ssl.SSLContext.load_default_certs = _load_nothing  # type: ignore[method-assign, assignment]
    try:
        return importlib.import_module(HTTP_CLIENT)
    finally:
        ssl.SSLContext.load_default_certs = load  # type: ignore[method-assign]
