"""The real `munbon-agent` of one node as a child process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.harness.processes import Child, ProcessFailed, program, run_program
from shared.contracts.api import NodeEnrolment
from shared.contracts.status import NodeStatus
from shared.durable_file import write_atomic


@dataclass(frozen=True)
class AgentOptions:
    """What a test or the demo sets apart from the enrolment. Times are short, so that nobody waits for a heartbeat."""

    kubeconfig: Path
    nats_url: str = ""
    """Instead of the enrolment's: through a proxy that can cut the link."""
    gate_socket: Path | None = None
    interlock_file: Path | None = None
    heartbeat_s: float = 2.0
    resync_s: float = 30.0
    log_level: str = "info"
    environment: Mapping[str, str] | None = None
    prefix: tuple[str, ...] = ()
    """Words before the program, for example `("ip", "netns", "exec", "pi-north")`."""


class RunningAgent:
    """One agent: its folder, its process, its log. `kill` and `start` again is a power cut of the process."""

    def __init__(self, folder: Path, enrolment: NodeEnrolment, options: AgentOptions) -> None:
        self.node = enrolment.node
        self.folder = folder.absolute()
        self.options = options
        self.config_file = self.folder / "agent.toml"
        self.state_dir = self.folder / "state"
        self.write_config(enrolment)
        command = [*options.prefix, *program("munbon-agent"), "run", "--config", str(self.config_file)]
        self.process = Child(f"munbon-agent {self.node}", command, log=self.folder / "agent.log", environment=options.environment)

    @property
    def state_file(self) -> Path:
        """Its database."""
        return self.state_dir / "state.sqlite"

    def write_config(self, enrolment: NodeEnrolment) -> None:
        """Write `agent.toml` and `trust-root.json`; again after the node was replaced."""
        self.folder.mkdir(parents=True, exist_ok=True)
        trust_root = json.dumps(enrolment.trust_root, indent=2).encode() + b"\n"
        write_atomic(self.folder / "trust-root.json", trust_root)
        write_atomic(self.config_file, render_agent_toml(enrolment, self.options, self.state_dir).encode(), mode=0o600)

    async def start(self) -> None:
        """Start it; it has to find central and K3s by itself."""
        await self.process.start()

    async def stop(self) -> int | None:
        """SIGTERM; gives the exit code."""
        return await self.process.stop()

    async def kill(self) -> None:
        """SIGKILL, as a power cut."""
        await self.process.kill()

    async def restart(self) -> None:
        """Stop it cleanly and start it anew."""
        await self.process.restart()

    async def status(self) -> NodeStatus:
        """What `munbon-agent status` says: the node's own picture of this moment.

        Raises:
            ProcessFailed: it does not answer.
        """
        command = [*self.options.prefix, *program("munbon-agent"), "status", "-o", "json", "--config", str(self.config_file)]
        code, output, errors = await run_program(command)
        if code != 0:
            raise ProcessFailed(f"status ended with {code}: {errors.strip()}", subject=f"munbon-agent {self.node}")
        return NodeStatus.model_validate(json.loads(output)["status"])

    def read_log(self, *, all_runs: bool = False) -> str:
        """Its log lines: of this run, or of all."""
        return self.process.read_log(all_runs=all_runs)


def render_agent_toml(enrolment: NodeEnrolment, options: AgentOptions, state_dir: Path) -> str:
    """Text of `agent.toml`."""
    lines = [
        f"node = {json.dumps(enrolment.node)}",
        f"state_dir = {json.dumps(str(state_dir))}",
        'trust_root = "trust-root.json"',
        f"kubeconfig = {json.dumps(str(options.kubeconfig))}",
        f"heartbeat_s = {options.heartbeat_s}",
        f"resync_s = {options.resync_s}",
        f"log_level = {json.dumps(options.log_level)}",
        "",
        "[nats]",
        f"urls = [{json.dumps(options.nats_url or enrolment.nats_url)}]",
        f"user = {json.dumps(enrolment.nats_user)}",
        f"password = {json.dumps(enrolment.nats_password)}",
        "",
    ]
    if options.gate_socket is not None and options.interlock_file is not None:
        gate = [f"socket = {json.dumps(str(options.gate_socket))}", f"interlock_file = {json.dumps(str(options.interlock_file))}"]
        lines += ["[gate]", *gate, ""]
    return "\n".join(lines)
