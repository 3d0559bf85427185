"""Keys, tokens and passwords of central.

Takes: the state folder, a plain token or password.
Gives: central's signer and the trust root, fresh secrets, and the digests that the store keeps.
May import: `central.model`, `shared`, bcrypt, the system's random source.
Never: stores a token or password as it is, overwrites a key, or reads the operator's key.
"""
