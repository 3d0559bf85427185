"""From files on a laptop to a signed release.

Takes: a YAML or JSON file, a folder of them, or a kustomize folder; a signing key.
Gives: objects read as kubectl reads them, findings, a Release with its blob, signed.
May import: `shared`, PyYAML; runs the wheel's kubectl for kustomize.
Never: talks to central or a cluster, or imports anything else of central.
"""
