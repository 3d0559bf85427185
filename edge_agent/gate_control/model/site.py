"""The site as its owner configured it (`gate.toml`): levels in m above the site's datum, openings in percent, 0 % = least flow."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.contracts.base import GateId, SiteName

Pct = Annotated[float, Field(ge=0.0, le=100.0)]
Positive = Annotated[float, Field(gt=0.0)]
RegisterAddress = Annotated[int, Field(ge=0, le=65_535)]
BitNumber = Annotated[int, Field(ge=0, le=15)]


class Settings(BaseModel):
    """Base: an unknown key is a mistake, and no figure is infinite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RegisterType(StrEnum):
    """How registers make a number."""

    UINT16 = "uint16"
    INT16 = "int16"
    UINT32 = "uint32"
    INT32 = "int32"
    FLOAT32 = "float32"

    @property
    def register_count(self) -> int:
        """16-bit registers that it fills."""
        return 1 if self in (RegisterType.UINT16, RegisterType.INT16) else 2


class ModbusDevice(Settings):
    """A Modbus TCP device."""

    host: str = Field(min_length=1)
    port: Annotated[int, Field(ge=1, le=65_535)] = 502
    device_id: Annotated[int, Field(ge=0, le=255)] = 1
    timeout_s: Annotated[float, Field(gt=0.0, le=0.5)] = 0.4


class RegisterPoint(Settings):
    """One number in a device: `value = raw * scale + offset`."""

    register_address: RegisterAddress = Field(alias="register")
    table: Literal["input", "holding"] = "input"
    type: RegisterType = RegisterType.UINT16
    word_order: Literal["big", "little"] = "big"
    scale: float = 1.0
    offset: float = 0.0

    @model_validator(mode="after")
    def _scale_is_usable(self) -> Self:
        if self.scale == 0.0:
            raise ValueError("scale must not be 0: every value would be the same")
        return self


class SensorPoint(RegisterPoint):
    """A measured value with what makes it believable."""

    unit: Literal["m", "pct"] = "m"
    valid_min: float
    valid_max: float
    max_rate_per_s: Positive
    """Faster changes are not believed."""
    degraded_after_s: Positive = 3.0
    stale_after_s: Positive = 15.0
    """Older values are not used."""
    counter_register: RegisterAddress | None = None
    """A register of the same table that changes with each new sample; while it stands still the value is old."""

    @model_validator(mode="after")
    def _ranges_are_ranges(self) -> Self:
        if self.valid_min >= self.valid_max:
            raise ValueError(f"valid_min {self.valid_min} must be below valid_max {self.valid_max}")
        if self.degraded_after_s > self.stale_after_s:
            raise ValueError(f"degraded_after_s {self.degraded_after_s} must not be above stale_after_s {self.stale_after_s}")
        return self


class StatusPoint(Settings):
    """A register of status bits; the numbers are those of the Rotork IQ Modbus option."""

    register_address: RegisterAddress = Field(alias="register", default=0)
    table: Literal["input", "holding"] = "input"
    moving_bit: BitNumber | None = 0
    remote_bit: BitNumber | None = 5
    jammed_bit: BitNumber | None = 11
    by_hand_bit: BitNumber | None = 12
    inhibited_bit: BitNumber | None = 13


class GatePoints(Settings):
    """Where a gate's values stand in its device."""

    upstream_level: SensorPoint | None = None
    downstream_level: SensorPoint | None = None
    position: SensorPoint
    desired_position: RegisterPoint
    status: StatusPoint | None = None

    @model_validator(mode="after")
    def _there_is_a_level(self) -> Self:
        if self.upstream_level is None and self.downstream_level is None:
            raise ValueError("at least one of upstream_level and downstream_level is needed")
        if self.desired_position.table != "holding":
            raise ValueError("desired_position must stand in the holding table: input registers cannot be written")
        if self.position.unit != "pct":
            raise ValueError("position must have unit 'pct'")
        return self


class LevelControl(Settings):
    """PI in velocity form over a filtered level."""

    kp_pct_per_m: Positive
    """Opening per metre of error."""
    ti_s: Positive
    filter_s: Annotated[float, Field(ge=0.0)] = 0.0


class Limits(Settings):
    """The owner's own limits; no message can widen them."""

    opening_min_pct: Pct = 0.0
    opening_max_pct: Pct = 100.0
    level_min_m: float
    level_max_m: float
    """Setpoints must lie between the two; a level outside raises an alarm."""
    deadband_pct: Annotated[float, Field(gt=0.0, le=50.0)] = 0.5
    """Smaller moves are not made."""
    max_step_pct: Annotated[float, Field(gt=0.0, le=100.0)] = 10.0
    """Largest move of one command."""
    rest_s: Annotated[float, Field(ge=0.0)] = 10.0
    """Least pause between the end of a move and the next."""

    @model_validator(mode="after")
    def _limits_leave_room(self) -> Self:
        if self.opening_max_pct - self.opening_min_pct < self.deadband_pct:
            raise ValueError(
                f"opening_min_pct {self.opening_min_pct} and opening_max_pct {self.opening_max_pct} leave less room"
                f" than deadband_pct {self.deadband_pct}"
            )
        if self.level_min_m >= self.level_max_m:
            raise ValueError(f"level_min_m {self.level_min_m} must be below level_max_m {self.level_max_m}")
        if self.max_step_pct < self.deadband_pct:
            raise ValueError(f"max_step_pct {self.max_step_pct} must not be below deadband_pct {self.deadband_pct}")
        return self


class InterlockRule(Settings):
    """Protection of every scan. Where two of a gate disagree, the one listed first wins. A bad sensor leaves it as it is."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]
    point: Literal["upstream_level", "downstream_level"]
    side: Literal["high", "low"]
    trip_m: float
    reset_m: float
    delay_s: Annotated[float, Field(ge=0.0)] = 0.0
    action: Literal["inhibit_open", "inhibit_close", "drive_to"]
    opening_pct: Pct | None = None
    """Where `drive_to` drives."""
    flood: bool = False
    """While tripped, no release is applied on this node."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.action == "drive_to") != (self.opening_pct is not None):
            raise ValueError("opening_pct belongs to action 'drive_to', and to it alone")
        if self.side == "high" and self.reset_m >= self.trip_m:
            raise ValueError(f"reset_m {self.reset_m} must be below trip_m {self.trip_m} on the high side")
        if self.side == "low" and self.reset_m <= self.trip_m:
            raise ValueError(f"reset_m {self.reset_m} must be above trip_m {self.trip_m} on the low side")
        return self


class MotionSupervision(Settings):
    """When a gate that was told to move counts as stuck."""

    start_within_s: Positive = 10.0
    """Some travel must be seen by then."""
    tolerance_pct: Annotated[float, Field(gt=0.0, le=20.0)] = 0.3
    """Travel below it is no travel; a position this near the command has arrived."""
    stroke_time_s: Positive = 120.0
    """From closed to open."""


class Fallback(Settings):
    """What a gate does when its level has been bad for `after_s`."""

    kind: Literal["hold", "position"] = "hold"
    after_s: Positive = 600.0
    opening_pct: Pct | None = None

    @model_validator(mode="after")
    def _position_has_an_opening(self) -> Self:
        if (self.kind == "position") != (self.opening_pct is not None):
            raise ValueError("opening_pct belongs to kind 'position', and to it alone")
        return self


class GateSettings(Settings):
    """One gate."""

    id: GateId
    modbus: ModbusDevice
    points: GatePoints
    area_m2: Positive
    """Backwater area of the pool whose level the gate holds."""
    delay_s: Annotated[float, Field(ge=0.0)] = 0.0
    """From a move of the gate to its level."""
    control: LevelControl
    limits: Limits
    interlocks: tuple[InterlockRule, ...] = Field(default=(), max_length=16)
    motion: MotionSupervision = MotionSupervision()
    fallback: Fallback = Fallback()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        names = [rule.name for rule in self.interlocks]
        if len(names) != len(set(names)):
            raise ValueError("two interlocks have the same name")
        for rule in self.interlocks:
            if getattr(self.points, rule.point) is None:
                raise ValueError(f"interlock {rule.name} watches {rule.point}, which the gate does not have")
            if rule.opening_pct is not None:
                self._check_opening(f"interlock {rule.name}", rule.opening_pct)
        if self.fallback.opening_pct is not None:
            self._check_opening("fallback", self.fallback.opening_pct)
        if self.control.filter_s < self.delay_s / 100.0:
            raise ValueError(f"filter_s {self.control.filter_s} is too small for delay_s {self.delay_s}: it filters nothing")
        return self

    def _check_opening(self, where: str, opening_pct: float) -> None:
        low, high = self.limits.opening_min_pct, self.limits.opening_max_pct
        if not low <= opening_pct <= high:
            raise ValueError(f"{where}: opening_pct {opening_pct} lies outside the gate's own limits {low} to {high}")


class SiteSettings(Settings):
    """`gate.toml`. Paths that are not absolute are relative to that file."""

    site: SiteName
    state_dir: str
    socket: str = "/run/munbon-gate/gate.sock"
    interlock_file: str = "/run/munbon-gate/interlock.json"
    trust_root: str = "gate-trust-root.json"
    local_plan: str = "gate-plan.local.json"
    """A plan made at the site; while the file is there it outranks the remote one."""
    scan_period_s: Annotated[float, Field(ge=0.05, le=10.0)] = 1.0
    control_period_s: Positive = 10.0
    series_period_s: Positive = 10.0
    socket_uids: tuple[int, ...] = ()
    """Users besides root and the gate's own who may use the socket."""
    journal_days: Positive = 14.0
    journal_max_mb: Annotated[float, Field(ge=1.0)] = 200.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    gates: tuple[GateSettings, ...] = Field(min_length=1, max_length=16)

    @model_validator(mode="after")
    def _site_fits(self) -> Self:
        ids = [gate.id for gate in self.gates]
        twice = sorted({gate_id for gate_id in ids if ids.count(gate_id) > 1})
        if twice:
            raise ValueError(f"gate {twice[0]} stands twice")
        if self.control_period_s < self.scan_period_s:
            raise ValueError(f"control_period_s {self.control_period_s} must not be below scan_period_s {self.scan_period_s}")
        for gate in self.gates:
            for name in ("upstream_level", "downstream_level", "position"):
                point = getattr(gate.points, name)
                if point is not None and point.stale_after_s < 2 * self.scan_period_s:
                    raise ValueError(f"gate {gate.id}: {name}.stale_after_s must be at least two scan periods")
        return self

    def gate(self, gate_id: str) -> GateSettings | None:
        """The gate of that name."""
        return next((gate for gate in self.gates if gate.id == gate_id), None)
