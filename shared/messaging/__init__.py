"""The bus as both sides see it: one NATS connection at a time, thrown away whole on any doubt.

Takes: settings, subjects and bytes.
Gives: `BusSession` (publish, request, subscribe, Direct Get), and errors that say whether to try again.
May import: nats (nobody else does), `shared.contracts`, `shared.errors`, `shared.clock`, `shared.observability`.
Never: reconnects by itself, decides what to send, or lets an error of the NATS library out.
"""
