"""What goes home: events from the outbox, the newest status, heartbeats, the gate's journal; and the session they go over.

Takes: rows of the outbox, pictures of the node, the gate process's journal.
Gives: each event on the bus until the stream has it; one session after another, thrown away on any doubt.
May import: `edge_agent.store`, `edge_agent.model`, `shared`.
Never: drops an event that the stream has not acknowledged, or lets the bus library reconnect by itself.
"""
