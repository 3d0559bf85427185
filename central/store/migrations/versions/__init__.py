"""One file for each step, in order of their numbers.

Takes: a connection in Alembic's configuration.
Gives: the newest schema.
May import: Alembic, SQLAlchemy, and the column types of `central.store.columns`.
Never: rewrites what was released.
"""
