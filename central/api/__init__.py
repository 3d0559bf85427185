"""The operator's HTTP API: what people and CI ask of central, and what they see.

Takes: HTTP requests with a named bearer token, and `ApiDependencies` (store, feed, keys to verify with, two ports to the bus).
Gives: `app.create_app`; every answer is a view of `shared.contracts.api`, every error a ProblemView.
May import: `central.store`, the pure folders, `central.identity`, FastAPI; the bus only through the protocols in `dependencies`.
Never: signs anything, speaks SQL, or shows a traceback.
"""
