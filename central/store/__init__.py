"""Central's database: the only place that speaks SQL. It owns everything; JetStream holds caches of it.

Takes: records of `central.model`, times from the caller, a database URL (SQLite or PostgreSQL).
Gives: `Database` (one transaction for each piece of work), plain functions on a transaction, and `ChangeFeed`.
May import: `central.model`, the pure cores, `shared`, SQLAlchemy, Alembic.
Never: reads a clock, signs, or sends anything; nothing outside sees a table.
"""
