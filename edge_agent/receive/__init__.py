"""What comes in over the bus: the node's Desired, and the releases that it names.

Takes: bytes from a session, and the trust root.
Gives: documents that were verified and saved, the objects of a release, and refusals that are reported once.
May import: `edge_agent.store`, `edge_agent.decide`, `edge_agent.model`, `shared`.
Never: trusts a notice, goes back to an older order, or saves what was not verified.
"""
