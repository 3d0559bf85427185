"""Devices and points of a site: where a value stands, and what makes it believable."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

Pct = Annotated[float, Field(ge=0.0, le=100.0)]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
RegisterAddress = Annotated[int, Field(ge=0, le=65_535)]
BitNumber = Annotated[int, Field(ge=0, le=15)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?$")]
"""Of a device, point, pool, structure or alarm."""
BAUD_RATES = (300, 600, 1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800)


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
    BIT = "bit"

    @property
    def register_count(self) -> int:
        """16-bit registers that it fills."""
        return 2 if self in (RegisterType.UINT32, RegisterType.INT32, RegisterType.FLOAT32) else 1


class ModbusTcp(Settings):
    """A Modbus TCP device or gateway."""

    kind: Literal["modbus_tcp"] = "modbus_tcp"
    host: str = Field(min_length=1)
    port: Annotated[int, Field(ge=1, le=65_535)] = 502


class ModbusRtu(Settings):
    """A serial line; all units on it share one queue."""

    kind: Literal["modbus_rtu"] = "modbus_rtu"
    path: str = Field(min_length=1)
    baud_rate: Annotated[int, Field(ge=300, le=460_800)] = 9_600
    parity: Literal["N", "E", "O"] = "E"
    stop_bits: Literal[1, 2] = 1
    max_response_s: Positive = 0.5
    """After a time-out the line is left alone this long: RTU answers carry no transaction id."""

    @field_validator("baud_rate")
    @classmethod
    def _is_a_standard_rate(cls, baud_rate: int) -> int:
        if baud_rate not in BAUD_RATES:
            raise ValueError(f"{baud_rate} baud is no standard rate; one of {', '.join(map(str, BAUD_RATES))}")
        return baud_rate


class Device(Settings):
    """One Modbus unit."""

    id: Name
    link: Annotated[ModbusTcp | ModbusRtu, Field(discriminator="kind")]
    device_id: Annotated[int, Field(ge=0, le=255)] = 1
    timeout_s: Annotated[float, Field(gt=0.0, le=5.0)] = 0.4
    retries: Annotated[int, Field(ge=0, le=3)] = 0
    """Of reads. A write is never repeated by the link."""
    echo_register: RegisterAddress | None = None
    """A holding register with a known value that each read block is checked by (RTU)."""
    echo_value: Annotated[int, Field(ge=0, le=65_535)] | None = None

    @model_validator(mode="after")
    def _is_a_unit_of_its_line(self) -> Self:
        if self.link.kind == "modbus_rtu" and not 1 <= self.device_id <= 247:
            raise ValueError(f"device_id {self.device_id} is no unit of a serial line: 1 to 247 (0 is everybody, and nobody answers)")
        return self

    @model_validator(mode="after")
    def _echo_is_whole(self) -> Self:
        if (self.echo_register is None) != (self.echo_value is None):
            raise ValueError("echo_register and echo_value belong together")
        return self


class CurrentLoop(Settings):
    """4-20 mA behind the register (NAMUR NE 43): valid 3.8 to 20.5 mA, a fault below 3.6 or above 21 mA that lasts 4 s."""

    low: float
    """Value at 4 mA."""
    high: float
    """Value at 20 mA."""
    fault_after_s: NotNegative = 4.0


class RegisterPlace(Settings):
    """Where a number stands: `value = raw * scale + offset`; with `bit`, one bit of the register."""

    device: Name
    register_address: RegisterAddress = Field(alias="register")
    table: Literal["input", "holding"] = "input"
    type: RegisterType = RegisterType.UINT16
    byte_order: Literal["big", "little"] = "big"
    word_order: Literal["big", "little"] = "big"
    bit: BitNumber | None = None
    scale: float = 1.0
    offset: float = 0.0
    """Added last: for a level, the sensor's zero above the site's datum."""

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        if self.scale == 0.0:
            raise ValueError("scale must not be 0: every value would be the same")
        if (self.bit is None) == (self.type is RegisterType.BIT):
            raise ValueError("bit belongs to type 'bit', and to it alone")
        return self


class Point(RegisterPlace):
    """A measured value. `unit` is what it means after scale, offset and current loop."""

    id: Name
    unit: Literal["m", "m3s", "pct", "count", "state"] = "m"
    current_loop: CurrentLoop | None = None
    """Given: the scaled register is in mA."""
    valid_min: float
    valid_max: float
    max_rate_per_s: Positive
    """Faster changes are not believed."""
    resolution: Positive = 0.001
    """Least change that the sensor shows."""
    noise: NotNegative = 0.0
    """Standard deviation, in the unit."""
    lag_s: NotNegative = 0.0
    """Known constant lag of the sensor: its own filter or averaging, a slow radio. It counts as delay in every loop on this point; where
    the pool's `delay_s` was measured by this very sensor it is in there already."""
    stale_after_s: Positive = 15.0
    """Older values are not used; per loop the phase margin may ask for less."""
    counter_register: RegisterAddress | None = None
    """A register of the same table that changes with each new sample; while it stands still the value is old."""
    age_register: RegisterAddress | None = None
    """A register of the same table with the age of the value in tenths of a second, 65535: unknown. Our own Modbus map has one."""
    remote: str = ""
    """Name of the site that owns the point; its loss is expected, and freezes its terms."""

    @model_validator(mode="after")
    def _range_is_a_range(self) -> Self:
        if self.valid_min >= self.valid_max:
            raise ValueError(f"valid_min {self.valid_min} must be below valid_max {self.valid_max}")
        return self
