"""From the database to the nodes.

Takes: what stands in the database, change notices, the session of the moment, central's signing key.
Gives: signed Desired documents and artifacts on the bus, rollouts that move on, gate plans and commands delivered.
May import: `shared`, `central.store` and what stands below it; the bus through `ports` alone.
Never: keeps a plan of its own: each pass reads the database again, and what the bus lost is put there again.
"""
