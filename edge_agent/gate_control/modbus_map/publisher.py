"""The map beside the loop: shows each completed scan, and listens as soon as it can. A site without `modbus_map` has none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from edge_agent.gate_control.modbus_map.layout import MapSnapshot, next_snapshot
from edge_agent.gate_control.modbus_map.server import ModbusMapServer
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import Quality, Reading
from shared.clock import Clock
from shared.observability import get_logger

TRY_AGAIN_S = 5.0

log = get_logger("gate.modbus_map")


class MapPublisher:
    """Control goes on whether or not the map can listen; `problem` says why it cannot."""

    def __init__(self, site: SiteConfiguration, clock: Clock) -> None:
        self.server = None if site.modbus_map is None else ModbusMapServer(site, site.modbus_map, clock)
        self.problem = ""
        """Why nobody can read it now; empty while it listens, or is not wanted."""
        self._clock = clock
        self._snapshot = MapSnapshot()
        self._listening: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Listen from now on; tried again while the address is taken."""
        if self.server is not None and self._listening is None:
            self._listening = asyncio.create_task(self._listen(self.server), name="modbus map")

    def show(
        self,
        readings: Mapping[str, Reading],
        flows_m3s: Mapping[str, float | None],
        modes: Mapping[str, str],
        now_s: float,
        doubts: Mapping[str, str] | None = None,
    ) -> None:
        """After each completed scan. Flows are those through structures, computed in this very scan; None: not known.

        `doubts`: by structure, why its flow cannot be trusted: it is shown as bad, so that neighbours freeze what they make of it.
        """
        if self.server is None:
            return
        is_new = any(reading.is_fresh for reading in readings.values())
        flows = {name: _flow(name, value, (doubts or {}).get(name, ""), is_new=is_new) for name, value in flows_m3s.items()}
        self._snapshot = next_snapshot(self._snapshot, readings, flows, modes, now_s)
        self.server.show(self._snapshot)

    async def end(self) -> None:
        """Close the door; no task is left behind."""
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
            self._listening = None
        if self.server is not None:
            await self.server.stop()

    async def _listen(self, server: ModbusMapServer) -> None:
        while True:
            try:
                await server.start()
            except OSError as error:
                if not self.problem:
                    log.warning("modbus map cannot listen", reason=str(error))
                self.problem = str(error)
                await self._clock.sleep(TRY_AGAIN_S)
            else:
                self.problem = ""
                return


def _flow(structure: str, flow_m3s: float | None, doubt: str, *, is_new: bool) -> Reading:
    if flow_m3s is None or doubt:
        return Reading(flow_m3s, 0.0, Quality.BAD, structure, (doubt,) if doubt else ())
    return Reading(flow_m3s, 0.0, Quality.GOOD, structure, (), is_new)
