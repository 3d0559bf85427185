"""From the nodes to the database.

Takes: events, statuses and heartbeats from the bus.
Gives: each of them once in the database, with the sender as the subject says; what cannot be read in quarantine; presence.
May import: `shared`, `central.store` and what stands below it; the bus through `ports` alone.
Never: acknowledges before the commit, or believes a sender's word about who it is.
"""
