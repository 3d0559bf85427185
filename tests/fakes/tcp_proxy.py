"""The fault proxy lives with the demo, which needs it too."""

from deploy.faults.tcp_proxy import TcpProxy

__all__ = ["TcpProxy"]
