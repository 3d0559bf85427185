"""Judges health: live objects and the pods of new revisions in, one verdict with its cause out. Pure; one file per kind.

Takes: what `observe` read, since when, and now.
Gives: an `Assessment`; the worst object decides.
May import: `edge_agent.model`, `shared.contracts`, the standard library's data types.
Never: raises on odd objects (doubt is PROGRESSING), or judges a new release by an old pod.
"""
