"""Central's end of the bus: its nats-server, its streams, its session.

Takes: listen address, state folder, node names with password hashes.
Gives: a running (or adopted) nats-server, `CentralBus` (streams, desired keys, artifacts, events), `BusKeeper` that keeps one open.
May import: `shared`, `central.model`; never nats itself.
Never: reads or writes the database, or decides what nodes should run.
"""

from central.bus.errors import PortTaken

__all__ = ["PortTaken"]
