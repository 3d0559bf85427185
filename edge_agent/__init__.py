"""The release agent of one node: decides whether and when to apply what central says, applies it, judges it, goes back.

Takes: a signed Desired and releases from the bus, and what the node's own Kubernetes says.
Gives: applied releases, and reports through an outbox on disk.
May import: `shared`, and the libraries of the extra `agent`.
Never: imports `central`, or anything of `gate_control`, which is a program of its own.
"""
