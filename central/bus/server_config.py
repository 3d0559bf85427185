"""The configuration of nats-server as text. Pure: same input, same bytes, so that a changed text means a reload.

Why three accounts: a client chooses the reply subject of what it sends, and the server does not hold that subject against
the client's permissions. In one account a node could have the server's answer written into another node's key, event or
chunk. Nodes therefore live in EDGE, without JetStream, and reach single subjects of CORE through exports alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.contracts import subjects

CENTRAL_USER = "central"
_API = "$JS.API.DIRECT.GET"


@dataclass(frozen=True)
class ServerConfig:
    """What the text depends on. Times are the server's own notation. `node_hashes`: bcrypt hash by node id."""

    server_name: str
    host: str
    port: int
    monitor_port: int
    store_folder: str
    log_file: str
    pid_file: str
    central_password: str
    node_hashes: Mapping[str, str]
    max_store_bytes: int = 20 * 1024**3
    max_memory_bytes: int = 64 * 1024**2
    max_connections: int = 20_000


def render_config(config: ServerConfig) -> str:
    """Configuration text; JSON values inside, so that no value can break out of its place.

    Raises:
        UsageError: a node id is none.
    """
    sections: dict[str, Any] = {
        "server_name": config.server_name,
        "listen": f"{config.host}:{config.port}",
        "http": f"127.0.0.1:{config.monitor_port}",
        "pid_file": config.pid_file,
        "log_file": config.log_file,
        "log_size_limit": 16 * 1024**2,
        "log_max_num": 3,
        "max_connections": config.max_connections,
        "max_payload": 1024**2,
        "ping_interval": "30s",
        "ping_max": 2,
        "write_deadline": "30s",
        "lame_duck_duration": "30s",
        "lame_duck_grace_period": "5s",
        "authorization": {"timeout": 30},
        "jetstream": {
            "store_dir": config.store_folder,
            "max_file_store": config.max_store_bytes,
            "max_memory_store": config.max_memory_bytes,
            "sync_interval": "always",
        },
        "accounts": render_accounts(config.central_password, config.node_hashes),
        "system_account": "SYS",
    }
    lines = [f"{name}: {_value(value)}" for name, value in sections.items()]
    return "# Written by munbon-central; changes are overwritten.\n" + "\n".join(lines) + "\n"


def render_accounts(central_password: str, node_hashes: Mapping[str, str]) -> dict[str, Any]:
    """The accounts block as plain data.

    Raises:
        UsageError: a node id is none.
    """
    return {
        "CORE": {
            "jetstream": "enabled",
            "users": [{"user": CENTRAL_USER, "password": central_password}],
            "exports": [*({"service": subject} for subject in _services()), {"stream": subjects.DESIRED_NOTICE_WILDCARD}],
            "imports": [{"service": {"account": "EDGE", "subject": "cmd.>"}}],
        },
        "EDGE": {
            "users": [render_node_user(node, node_hashes[node]) for node in sorted(node_hashes)],
            "exports": [{"service": "cmd.>"}],
            "imports": [
                *({"service": {"account": "CORE", "subject": subject}} for subject in _services()),
                {"stream": {"account": "CORE", "subject": subjects.DESIRED_NOTICE_WILDCARD}},
            ],
        },
        "SYS": {},
    }


def render_node_user(node: str, password_hash: str) -> dict[str, Any]:
    """One node: five subjects are its world.

    Raises:
        UsageError: the id is none.
    """
    return {
        "user": subjects.check_node_id(node),
        "password": password_hash,
        "permissions": {
            "publish": {
                "allow": [
                    f"evt.{node}.>",
                    subjects.heartbeat(node),
                    f"{_API}.{subjects.STREAM_DESIRED}.{subjects.desired_key(node)}",
                    f"{_API}.{subjects.STREAM_ARTIFACTS}.{subjects.ARTIFACTS_WILDCARD}",
                ]
            },
            "subscribe": {"allow": [f"{subjects.inbox_prefix(node)}.>", subjects.desired_notice(node), subjects.commands(node)]},
            "allow_responses": {"max": 1, "expires": "30s"},
        },
    }


def _services() -> tuple[str, ...]:
    return (
        subjects.EVENTS_WILDCARD,
        subjects.HEARTBEATS_WILDCARD,
        f"{_API}.{subjects.STREAM_DESIRED}.{subjects.DESIRED_KEYS_WILDCARD}",
        f"{_API}.{subjects.STREAM_ARTIFACTS}.{subjects.ARTIFACTS_WILDCARD}",
    )


def _value(value: Any) -> str:
    # the configuration language reads JSON; indented so that a person can, too
    return json.dumps(value, indent=2, ensure_ascii=False)
