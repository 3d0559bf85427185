"""What keeps central's nats-server from starting."""

from __future__ import annotations

from shared.errors import UsageError


class PortTaken(UsageError):
    """Somebody else listens on the port; nothing was changed."""

    exit_code = 3
