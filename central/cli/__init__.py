"""`munbon`, the operator's command.

Takes: the operator's words, a context (address, token, signing key), files to publish.
Gives: calls of central's API; tables for people, JSON for programs, documented exit codes.
May import: `shared`, `central.render`, typer, rich, httpx.
Never: imports the rest of central, or shows a traceback to a user.
"""
