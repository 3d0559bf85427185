"""Who may do what: the tokens of one cluster, and its kubeconfigs."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from pathlib import Path

import yaml

from deploy.local_cluster.certificates import ADMINISTRATORS

TOKENS_FILE = "tokens.csv"


def add_token(state_dir: Path, user: str, groups: Sequence[str] = (ADMINISTRATORS,)) -> str:
    """A new bearer token for `user`; the API server learns of it at its next start."""
    token = secrets.token_hex(16)
    path = state_dir / TOKENS_FILE
    path.touch(mode=0o600)
    with path.open("a") as file:
        file.write(f'{token},{user},{user},"{",".join(groups)}"\n')
    return token


def write_kubeconfig(path: Path, name: str, server_url: str, authority: Path, user: dict[str, str]) -> Path:
    """A kubeconfig with one context, everything inside it, as K3s writes its own.

    Args:
        path: is replaced.
        name: of the cluster and the context.
        server_url: where the API server answers.
        authority: file with the certificate that the server's is checked against.
        user: `{"token": ...}`, or `{"client-certificate-data": ..., "client-key-data": ...}`.
    """
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server_url, "certificate-authority-data": encoded(authority)}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def encoded(file: Path) -> str:
    """Content of a file as kubeconfigs hold it."""
    return base64.b64encode(file.read_bytes()).decode()
