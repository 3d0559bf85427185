"""Digests and signatures over contracts.

Takes: contracts, keys.
Gives: canonical JSON (RFC 8785), SHA-256 digests, DSSE envelopes signed and verified with Ed25519 (libsodium).
May import: `shared.contracts`, `shared.errors`, `shared.durable_file`, rfc8785, PyNaCl.
Never: decides which key may sign what (that is the trust root's word) and never logs a key.
"""
