"""One router a noun. A route reads its input, calls one operation or query, tells the feed, and answers with a view.

Takes: parsed requests, `ApiDependencies`, the actor.
Gives: `ALL`: the routers under /v1, and `health.router` without a token.
May import: `central.api`'s other modules, `central.store`, FastAPI.
Never: decides anything.
"""
