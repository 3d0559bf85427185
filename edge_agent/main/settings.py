"""agent.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from shared.contracts.base import NodeId
from shared.contracts.codec import decode
from shared.contracts.envelope import TrustRoot
from shared.durable_file import read_optional
from shared.errors import ContractError, UsageError
from shared.settings import load_settings

DEFAULT_CONFIG = "/etc/munbon/agent.toml"
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NatsLogin(_Settings):
    """How to reach the bus."""

    urls: Annotated[tuple[str, ...], Field(min_length=1)]
    user: str = ""
    """Default: the node's name."""
    password: SecretStr = SecretStr("")
    reconnect_spread_s: Annotated[float, Field(ge=0, le=600)] = 10.0
    """After a loss the first try waits up to so long, at random, so that a fleet does not come back at once."""
    dead_link_s: Annotated[float, Field(ge=5, le=600)] = 75.0
    """A connection without an answer for so long is thrown away."""


class GatePaths(_Settings):
    """Where the gate process of this node is met."""

    socket: Path
    interlock_file: Path


class AgentSettings(_Settings):
    """One agent."""

    node: NodeId
    state_dir: Path
    trust_root: Path
    kubeconfig: Path = Path("/etc/rancher/k3s/k3s.yaml")
    heartbeat_s: Annotated[float, Field(ge=0.2, le=3_600)] = 30.0
    resync_s: Seconds = 300.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    outbox_max_mb: Annotated[float, Field(ge=0.1, le=10_000)] = 32.0
    nats: NatsLogin
    gate: GatePaths | None = None


def load_agent_settings(config: Path) -> AgentSettings:
    """Settings of a file, its relative paths made whole from its folder.

    Raises:
        UsageError: names file, key and reason.
    """
    found = load_settings(AgentSettings, config)
    folder = config.resolve().parent
    update: dict[str, object] = {name: folder / getattr(found, name) for name in ("state_dir", "trust_root", "kubeconfig")}
    if found.gate is not None:
        update["gate"] = GatePaths(socket=folder / found.gate.socket, interlock_file=folder / found.gate.interlock_file)
    return found.model_copy(update=update)


def load_trust_root(path: Path) -> TrustRoot:
    """The trust root that the node's owner installed.

    Raises:
        UsageError: it is missing or not valid.
    """
    try:
        raw = read_optional(path)
        if raw is None:
            raise UsageError("trust root is missing", subject=str(path), remedy="install the one that `munbon node add` wrote")
        return decode(raw, TrustRoot, subject=str(path))
    except OSError as error:
        raise UsageError(f"trust root cannot be read: {error.strerror}", subject=str(path)) from error
    except ContractError as error:
        raise UsageError(f"trust root is not valid: {error.message}", subject=str(path), remedy="install it again") from error
