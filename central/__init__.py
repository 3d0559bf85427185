"""Central: says what should run on which node, records what came of it, and shows it; `cli` and `render` run on a laptop.

Takes: operators' and CI's requests over HTTP, and the nodes' reports from the bus.
Gives: one signed Desired for each node, the fleet's state, and an audit of who did what.
May import: `shared`, and the libraries of the extras `central` and `cli`.
Never: imports `edge_agent`, signs a release, or moves a gate by itself.
"""
