"""Makes the cluster what a render says: creates, configures, prunes; one level-triggered pass at a time.

Takes: renders, the inventory, the node's cluster.
Gives: what changed, what it waits for, and why it stopped.
May import: `shared`, `edge_agent.model`, `plan`, `assess`, `kube`, `observe`.
Never: remembers a plan between passes; deletes before the new objects are healthy; takes over what is not ours.
"""
