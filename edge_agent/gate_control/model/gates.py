"""Gates, their actuators, limits and interlocks. Openings: 0 % = least flow, 100 % = most, overshot gates included."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edge_agent.gate_control.model.devices import Name, NotNegative, Pct, Positive, RegisterAddress, RegisterPlace, Settings
from shared.contracts.base import GateId


class TravelPoint(Settings):
    """One row of the actuator's table: its count (after scale and offset) at an opening."""

    count: float
    opening_m: NotNegative


class StatusBits(Settings):
    """A register of status bits; the default numbers are those of the Rotork IQ Modbus option (PUB091-003)."""

    device: Name
    register_address: RegisterAddress = Field(alias="register", default=0)
    table: Literal["input", "holding"] = "input"
    moving_bit: int | None = 0
    closed_limit_bit: int | None = 1
    open_limit_bit: int | None = 2
    remote_bit: int | None = 5
    jammed_bit: int | None = 11
    by_hand_bit: int | None = 12
    inhibited_bit: int | None = 13


class Relays(Settings):
    """Raise and lower outputs. A hardware one-shot must end each pulse: a dead process could hold a motor on."""

    raise_output: RegisterPlace
    lower_output: RegisterPlace
    hardware_pulse_limit_s: Positive | None = None
    """Of the retriggerable one-shot; `check` refuses relays without it."""


class CommsLost(Settings):
    """What the actuator itself does when we fall silent; written at the start and read back where it can be read."""

    action: Literal["stay", "close", "open", "position"] = "stay"
    opening_pct: Pct | None = None
    timer_s: Positive = 30.0
    action_register: RegisterAddress | None = None
    action_value: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """What the device calls `action`; its manual says."""
    position_register: RegisterAddress | None = None
    """For action `position`; scaled as the desired position is. Rotork IQ: 13, in percent, known to the profile."""
    timer_register: RegisterAddress | None = None
    """In seconds."""
    heartbeat_register: RegisterAddress | None = None
    """A holding register that is counted up with each scan."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.action == "position") != (self.opening_pct is not None):
            raise ValueError("opening_pct belongs to action 'position', and to it alone")
        if (self.action_register is None) != (self.action_value is None):
            raise ValueError("action_register and action_value belong together")
        return self


class Actuator(Settings):
    """What turns a desired opening into motion. `profile` gives the register map where points do not."""

    profile: Literal["rotork_iq", "auma", "position", "relays"] = "position"
    device: Name
    position: Name
    """Point with the measured position, unit `pct` or `count`."""
    desired_position: RegisterPlace | None = None
    status: StatusBits | None = None
    relays: Relays | None = None
    comms_lost: CommsLost = CommsLost()
    stroke_time_s: Positive = 120.0
    """From closed to open."""
    table: tuple[TravelPoint, ...] = ()
    """Counts to metres, rising in opening_m; empty: linear from 0 to 100 over the gate's height."""

    @model_validator(mode="after")
    def _has_its_outputs(self) -> Self:
        if (self.profile == "relays") != (self.relays is not None):
            raise ValueError("relays belong to profile 'relays', and to it alone")
        if self.profile != "relays" and self.desired_position is None:
            raise ValueError(f"profile '{self.profile}' needs desired_position")
        return self


class Geometry(Settings):
    """For the flow law."""

    kind: Literal["undershot", "overshot"] = "undershot"
    width_m: Positive
    sill_m: float
    """Above the site's datum: of the opening's lower edge, or of the crest when fully lowered (most flow)."""
    height_m: Positive
    """Full travel: of the opening, or of the crest from lowered to raised."""
    cd: Annotated[float, Field(gt=0.1, lt=1.5)] = 0.61


class Limits(Settings):
    """The owner's own limits; no message can widen them."""

    opening_min_pct: Pct = 0.0
    opening_max_pct: Pct = 100.0
    max_step_pct: Annotated[float, Field(gt=0.0, le=100.0)] = 10.0
    """Largest move of one command of the controller."""
    rate_pct_per_min: Positive | None = None
    flow_max_m3s: Positive | None = None
    deadband_pct: Annotated[float, Field(gt=0.0, le=50.0)] = 0.5
    """Of the command, never of the error: smaller moves are not made, the controller integrates on."""
    min_run_s: NotNegative = 0.0
    """Shortest run of the motor; smaller moves wait until they are worth it."""
    rest_s: NotNegative = 10.0
    """Least pause between the end of a move and the next of the controller."""
    reversal_pause_s: NotNegative = 5.0
    """Before any motion against the last direction, protection included: it spares the gear, and lasts seconds."""
    starts_per_hour: Annotated[int, Field(ge=1, le=1_200)] = 30
    """Of the controller. EN ISO 22153 class B: 120, 60 or 30 by torque."""


class Drawdown(Settings):
    """How fast a pool may fall (lined canals: 0.15 m in an hour, 0.30 m in a day are widely used)."""

    per_hour_m: Positive | None = None
    per_day_m: Positive | None = None


class Interlock(Settings):
    """Protection of every scan; the worst valid sensor votes. No independent protection: that is hardware."""

    name: Name
    points: tuple[Name, ...] = Field(min_length=1, max_length=6)
    side: Literal["high", "low"]
    action: Literal["inhibit_open", "inhibit_close", "drive_to"]
    opening_pct: Pct | None = None
    """Where `drive_to` drives."""
    trip: float
    """In the points' unit."""
    reset: float
    delay_s: NotNegative = 0.0
    latch: bool = False
    """Stays until a person resets it."""
    modes: tuple[Literal["auto", "manual"], ...] = ("auto", "manual")
    on_bad_sensor: Literal["hold", "trip", "ignore"] = "hold"
    """All its points bad: stay as it is, trip, or be as not tripped."""
    priority: int | None = None
    """Higher wins where two of a gate disagree; two that can disagree must have different ones."""
    flood: bool = False
    """While tripped, no release is applied on this node."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.action == "drive_to") != (self.opening_pct is not None):
            raise ValueError("opening_pct belongs to action 'drive_to', and to it alone")
        if self.side == "high" and self.reset >= self.trip:
            raise ValueError(f"reset {self.reset} must be below trip {self.trip} on the high side")
        if self.side == "low" and self.reset <= self.trip:
            raise ValueError(f"reset {self.reset} must be above trip {self.trip} on the low side")
        return self


class Motion(Settings):
    """When a gate that was told to move counts as stuck, and which travel counts as travel."""

    start_within_s: Positive = 10.0
    settle_s: NotNegative = 2.0
    """After the calculated run, before motion is judged."""
    tolerance_pct: Annotated[float, Field(gt=0.0, le=20.0)] = 0.3
    """A position this near the command has arrived."""


class Fallback(Settings):
    """What a gate does when its objective cannot be followed for `after_s` (T2)."""

    kind: Literal["hold", "position", "level", "open_on_high"] = "hold"
    after_s: Positive = 600.0
    opening_pct: Pct | None = None
    level_point: Name | None = None
    """For `level`: a local level, held by the structure's other level loop."""
    level_m: float | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.kind in ("position", "open_on_high")) != (self.opening_pct is not None):
            raise ValueError("opening_pct belongs to kinds 'position' and 'open_on_high', and to them alone")
        if (self.kind == "level") != (self.level_point is not None and self.level_m is not None):
            raise ValueError("level_point and level_m belong to kind 'level', and to it alone")
        return self


class Gate(Settings):
    """One gate (bay) of a structure."""

    id: GateId
    geometry: Geometry
    actuator: Actuator
    limits: Limits = Limits()
    interlocks: tuple[Interlock, ...] = Field(default=(), max_length=16)
    motion: Motion = Motion()
    fallback: Fallback = Fallback()
    fail_safe: Literal["hold", "position"] = "hold"
    fail_safe_pct: Pct | None = None
    """Where the gate is put when its state was lost and it is armed again without a plan; `hold`: nowhere."""
