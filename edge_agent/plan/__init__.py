"""Decides what to send, in which order, and what each answer means. Pure.

Takes: manifests, live objects, answers to dry-runs, the inventory.
Gives: prepared objects, waves of stages of bands, one decision with its reason per object, what may be deleted.
May import: `edge_agent.model`, `shared.contracts`, the standard library's data types.
Never: reads the cluster, waits, or takes over an object that is not ours.
"""
