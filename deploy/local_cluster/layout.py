"""What one cluster is told before it starts: names, addresses, folders. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SERVICE_RANGE = "10.43.0.0/16"
SERVICE_ADDRESS = "10.43.0.1"
POD_RANGE = "10.42.0.0/24"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Layout:
    """One cluster's names, addresses and folders."""

    name: str
    state_dir: Path
    binary: Path
    address: str
    port: int

    @property
    def is_node(self) -> bool:
        """Whether a kubelet of its own runs beside the control plane."""
        return self.address != LOOPBACK

    @property
    def server_url(self) -> str:
        """Where the API server answers."""
        return f"https://{self.address}:{self.port}"

    @property
    def pki(self) -> Path:
        """Folder of certificates and keys."""
        return self.state_dir / "pki"

    @property
    def logs(self) -> Path:
        """Folder with one log file per part."""
        return self.state_dir / "logs"

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig with an administrator's token."""
        return self.state_dir / "kubeconfig.yaml"

    @property
    def certificate_kubeconfig(self) -> Path:
        """Kubeconfig with an administrator's client certificate, as K3s writes it."""
        return self.state_dir / "kubeconfig-certificate.yaml"


def kine_command(layout: Layout) -> list[str]:
    """The etcd of this cluster: SQLite in the state folder."""
    database = f"sqlite://{layout.state_dir}/state.db?_journal=WAL&cache=shared&_busy_timeout=30000"
    return [
        str(layout.binary),
        "kine",
        "--endpoint",
        database,
        "--listen-address",
        f"unix://{layout.state_dir}/kine.sock",
        "--compact-interval=0",
        "--metrics-bind-address=0",
    ]


def api_server_command(layout: Layout) -> list[str]:
    """The API server; its account keys and certificates are ours."""
    pki = layout.pki
    command = [
        str(layout.binary),
        "kube-apiserver",
        f"--etcd-servers=unix://{layout.state_dir}/kine.sock",
        f"--secure-port={layout.port}",
        f"--tls-cert-file={pki}/server.crt",
        f"--tls-private-key-file={pki}/server.key",
        f"--client-ca-file={pki}/ca.crt",
        f"--service-account-key-file={pki}/sa.key",
        f"--service-account-signing-key-file={pki}/sa.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        f"--token-auth-file={layout.state_dir}/tokens.csv",
        "--allow-privileged=true",
        "--profiling=false",
        "--shutdown-delay-duration=0",
    ]
    if not layout.is_node:
        return [*command, f"--bind-address={LOOPBACK}"]
    # Else logs and exec look the node's name up in a DNS that is not there
    return [*command, "--bind-address=0.0.0.0", f"--advertise-address={layout.address}", "--kubelet-preferred-address-types=InternalIP"]


def controllers_command(layout: Layout) -> list[str]:
    """The controllers; they serve no port of their own."""
    return [
        str(layout.binary),
        "kube-controller-manager",
        f"--kubeconfig={layout.kubeconfig}",
        "--secure-port=0",
        "--leader-elect=false",
        f"--service-account-private-key-file={layout.pki}/sa.key",
        f"--root-ca-file={layout.pki}/ca.crt",
        "--use-service-account-credentials=false",
        "--profiling=false",
    ]


def scheduler_command(layout: Layout) -> list[str]:
    """The scheduler; it serves no port of its own."""
    return [
        str(layout.binary),
        "kube-scheduler",
        f"--kubeconfig={layout.kubeconfig}",
        "--secure-port=0",
        "--leader-elect=false",
        "--profiling=false",
    ]
