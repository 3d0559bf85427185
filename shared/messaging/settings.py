"""How to reach the bus."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, SecretStr

from shared.contracts.base import Contract

PositiveSeconds = Annotated[float, Field(gt=0, le=3_600)]


class BusSettings(Contract):
    """One login. Times are generous on purpose: a cellular link takes seconds for what a desk takes milliseconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    urls: Annotated[tuple[str, ...], Field(min_length=1)]
    user: str = ""
    password: SecretStr = SecretStr("")
    name: str = ""
    """How the connection is called in the server's monitoring."""
    inbox_prefix: str = "_INBOX"
    """Replies come to `<inbox_prefix>.>`; a node may only read its own."""
    connect_timeout_s: PositiveSeconds = 20.0
    ping_interval_s: PositiveSeconds = 20.0
    request_timeout_s: PositiveSeconds = 15.0
