"""Faults on purpose, for tests and the demo.

Takes: an address to stand in front of.
Gives: `TcpProxy`, a link that can be cut, frozen and healed.
May import: the standard library.
Never: is part of the product.
"""
