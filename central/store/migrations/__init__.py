"""Alembic's record of how the database came to its present shape; run by `central.store.schema`.

Takes: a connection in Alembic's configuration.
Gives: the newest schema.
May import: Alembic, SQLAlchemy, and the column types of `central.store.columns`.
Never: rewrites what was released.
"""
