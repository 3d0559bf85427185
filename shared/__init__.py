"""What both sides stand on.

Takes: nothing of either side.
Gives: contracts (pure), signing, messaging and a few thin helpers around clock, disk, log and settings.
May import: the standard library, pydantic, structlog, PyNaCl, rfc8785; nats only in `messaging`.
Never: imports `central` or `edge_agent`.
"""
