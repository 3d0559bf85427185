"""nats-server in production: how to run it, and what its configuration looks like.

Takes: central's own configuration writer.
Gives: `example.conf`, written by `python -m deploy.nats`.
May import: `central.bus`.
Never: is part of the product.
"""
