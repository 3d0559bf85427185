"""Reads the cluster: which kinds, which live objects, the pods of new revisions, and changes as they come.

Takes: renders, inventories, the node's cluster.
Gives: targets, live metadata and objects, what `assess` judges, hints of drift.
May import: `shared`, `edge_agent.model`, `plan`, `assess`, `kube`.
Never: writes anything.
"""
