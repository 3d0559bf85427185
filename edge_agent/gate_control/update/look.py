"""One look at the gate process: its status over `gate.sock`, who answers there, and the interlock file."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from edge_agent.gate_control.console.client import ask
from edge_agent.gate_control.update.next_step import GateSeen, Process, Seen
from shared.contracts.codec import decode
from shared.contracts.gate_socket import GateOperation, GateReading, GateStatus
from shared.contracts.interlock import Interlock
from shared.errors import ContractError, MunbonError

ASK_S = 2.0
_CREDENTIALS = struct.Struct("3i")


class Look:
    """Looks; never raises for a process that does not answer."""

    def __init__(self, gate_socket: Path, interlock_file: Path) -> None:
        self._socket = gate_socket
        self._interlock_file = interlock_file

    def at(self, process: Process) -> Seen:
        """What is seen now."""
        pid = listener(self._socket)
        if pid is None:
            return Seen(process=process)
        try:
            status = GateStatus.model_validate(ask(self._socket, GateOperation.STATUS, timeout_s=ASK_S))
        except (MunbonError, ValueError):
            return Seen(pid, process=process)
        gates = {name: _gate(reading) for name, reading in status.gates.items()}
        return Seen(pid, status.scan, gates, self._hold(), process)

    def _hold(self) -> str:
        try:
            interlock = decode(self._interlock_file.read_bytes(), Interlock, subject=self._interlock_file.name)
        except (OSError, ContractError) as error:
            return f"the interlock file cannot be read ({error}): it may hide a flood alarm"
        return "; ".join(interlock.reasons) or "flood alarm" if interlock.flood_alarm else ""


def _gate(reading: GateReading) -> GateSeen:
    return GateSeen(is_read=reading.quality != "bad", is_observing=reading.mode == "OBSERVE", is_moving=reading.moving)


def listener(path: Path) -> int | None:
    """Id of the process that listens on a socket, by the kernel's word; None where none does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ASK_S)
        try:
            connection.connect(str(path))
            found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return None
    return int(_CREDENTIALS.unpack(found)[0])
