"""The client of the node's own Kubernetes; the only importer of its library, from which it takes the reading of kubeconfigs.

Takes: paths, kinds and plain dicts.
Gives: plain dicts, and errors that say whether to try again.
May import: kubernetes_asyncio (its configuration only), aiohttp, `shared`, `edge_agent.model`.
Never: models, DynamicClient or Watch of the library; decides what to apply or delete.
"""
