"""The site as its owner configured it (`site.yaml`). Here only what makes one value or one reference wrong; `check` judges the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from edge_agent.gate_control.model.devices import Device, Name, NotNegative, Point, Positive, Settings
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.pools import Pool, Structure
from shared.contracts.base import SiteName


class ConsoleRole(Settings):
    """Who on this machine may do what: viewer reads, operator also commands, maintainer also clears tagouts and releases plans."""

    uid: Annotated[int, Field(ge=0)]
    role: Literal["viewer", "operator", "maintainer"]


class ModbusMap(Settings):
    """The site's own read-only Modbus TCP map, for SCADA and neighbours."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 1502
    allow: tuple[str, ...] = ()
    """Addresses or networks (CIDR) that may read; none: nobody but this machine."""

    @field_validator("allow")
    @classmethod
    def _are_networks(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        for text in allow:
            ip_network(text, strict=False)  # ValueError names the text
        return allow


class SiteInput(Settings):
    """A digital input of the cabinet: an alarm when it reads `alarm_when`."""

    name: Literal["mains_lost", "battery_low", "door_open"]
    point: Name
    alarm_when: Literal[0, 1] = 1
    delay_s: NotNegative = 2.0


class AlarmRule(Settings):
    """Priority and damping of an alarm, by its name, with or without detail; without a rule those of docs/reference/gate-alarms.md."""

    name: Name
    subject: Name | None = None
    """The gate or pool that the rule is for, or `site`; it goes before a rule for all."""
    priority: Literal["low", "medium", "high", "urgent"] = "medium"
    on_delay_s: NotNegative = 5.0
    off_delay_s: NotNegative = 5.0


class SiteConfiguration(Settings):
    """A site of up to 16 gates. Paths that are not absolute are relative to the file."""

    site: SiteName
    state_dir: str
    socket: str = "/run/munbon-gate/gate.sock"
    interlock_file: str = "/run/munbon-gate/interlock.json"
    trust_root: str = "gate-trust-root.json"
    local_plan: str = "gate-plan.local.json"
    scan_period_s: Annotated[float, Field(ge=0.05, le=10.0)] = 1.0
    series_period_s: Positive = 10.0
    journal_days: Positive = 14.0
    journal_max_mb: Annotated[float, Field(ge=1.0)] = 400.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    phase_margin_min_deg: Annotated[float, Field(ge=20.0, le=80.0)] = 45.0
    console_roles: tuple[ConsoleRole, ...] = ()
    modbus_map: ModbusMap | None = None
    devices: tuple[Device, ...] = Field(min_length=1, max_length=64)
    points: tuple[Point, ...] = Field(min_length=1, max_length=256)
    pools: tuple[Pool, ...] = Field(default=(), max_length=32)
    structures: tuple[Structure, ...] = Field(min_length=1, max_length=16)
    inputs: tuple[SiteInput, ...] = ()
    alarms: tuple[AlarmRule, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique_and_known(self) -> Self:
        gates = list(self.gates())
        if len(gates) > 16:
            raise ValueError(f"{len(gates)} gates: a site has at most 16")
        for what, names in (
            ("device", [item.id for item in self.devices]),
            ("point", [item.id for item in self.points]),
            ("pool", [item.id for item in self.pools]),
            ("structure", [item.id for item in self.structures]),
            ("gate", [item.id for item in gates]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what} {twice[0]} stands twice")
        return self

    def gates(self) -> Iterator[Gate]:
        """All gates, structure by structure."""
        for structure in self.structures:
            yield from structure.gates

    def structure(self, structure_id: str) -> Structure | None:
        """The structure of that name."""
        return next((item for item in self.structures if item.id == structure_id), None)

    def structure_of(self, gate_id: str) -> Structure | None:
        """The structure that a gate belongs to."""
        return next((item for item in self.structures if any(gate.id == gate_id for gate in item.gates)), None)

    def gate(self, gate_id: str) -> Gate | None:
        """The gate of that name."""
        return next((gate for gate in self.gates() if gate.id == gate_id), None)

    def point(self, point_id: str) -> Point | None:
        """The point of that name."""
        return next((item for item in self.points if item.id == point_id), None)

    def lag_s(self, names: Iterable[str]) -> float:
        """Lag of the slowest of some points."""
        return max((point.lag_s for name in names if (point := self.point(name)) is not None), default=0.0)

    def pool_above(self, structure_id: str) -> Pool | None:
        """The pool that a structure ends."""
        return next((pool for pool in self.pools if pool.outlet == structure_id), None)

    def pool_of_water(self, structure_id: str) -> Pool | None:
        """The pool that a structure takes its water from: the one that it ends, or for a turnout the one whose offtake it is."""
        ended = self.pool_above(structure_id)
        return ended or next((pool for pool in self.pools if any(item.structure == structure_id for item in pool.offtakes)), None)

    def pools_below(self, structure_id: str) -> tuple[Pool, ...]:
        """The pools that a structure feeds."""
        return tuple(pool for pool in self.pools if pool.inlet == structure_id)
