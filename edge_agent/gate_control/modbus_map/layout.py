"""What each register of the map holds. Pure. Described in docs/reference/modbus-map.md: change both. Addresses: `model.map_places`."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.map_places import GATE_REGISTERS, VALUE_REGISTERS, ShownValue, shown_values
from edge_agent.gate_control.model.values import ACTUATOR_FACTS, Quality, Reading

VERSION = 1
UNKNOWN_AGE, UNKNOWN_MODE = 0xFFFF, 0xFFFF
BAD_THOUSANDTHS = -(2**31)
NO_SCAN_S = 10.0
"""Without a completed scan for so long every value is shown as bad."""
TENTHS = 10.0
MODES = ("OBSERVE", "LOCAL", "OUT_OF_SERVICE", "TAGGED_OUT", "FAULT", "HOLD", "MANUAL", "AUTO", "FALLBACK", "STOPPED", "COMMISSIONING")
"""The number of each is its place: new ones go to the end."""
_QUALITIES = {Quality.BAD: 0, Quality.DEGRADED: 1, Quality.GOOD: 2}


@dataclass(frozen=True)
class MapSnapshot:
    """What the map shows, as of one scan."""

    scan: int = 0
    at_s: float = -math.inf
    readings: Mapping[str, Reading] = field(default_factory=dict)
    flows: Mapping[str, Reading] = field(default_factory=dict)
    """By structure."""
    modes: Mapping[str, str] = field(default_factory=dict)
    """By gate."""
    counters: Mapping[str, int] = field(default_factory=dict)
    """By reading: fresh values so far."""


Words = Callable[[MapSnapshot, float], list[int]]
"""Registers of one entry, from the snapshot and the present time."""


@dataclass(frozen=True)
class Entry:
    """One thing that the map shows."""

    start: int
    count: int
    name: str
    words: Words


def next_snapshot(
    before: MapSnapshot, readings: Mapping[str, Reading], flows: Mapping[str, Reading], modes: Mapping[str, str], now_s: float
) -> MapSnapshot:
    """The snapshot after a completed scan: heartbeat and counters one further."""
    named = {**{f"point {name}": reading for name, reading in readings.items()}, **{f"flow {name}": item for name, item in flows.items()}}
    counters = {name: (before.counters.get(name, 0) + reading.is_fresh) & 0xFFFF for name, reading in named.items()}
    return MapSnapshot((before.scan + 1) & 0xFFFF, now_s, readings, flows, modes, counters)


def layout_of(site: SiteConfiguration) -> tuple[Entry, ...]:
    """All entries of a site's map, by address."""
    positions = {gate.id: gate.actuator.position for gate in site.gates()}
    entries = [Entry(0, 8, "site", lambda snapshot, now_s: _site_words(site, snapshot, now_s))]
    entries += [_entry(shown, positions) for shown in shown_values(site)]
    return tuple(sorted(entries, key=lambda entry: entry.start))


class RegisterMap:
    """Registers by address, made when they are asked for."""

    def __init__(self, site: SiteConfiguration) -> None:
        self._entries = {entry.start + offset: entry for entry in layout_of(site) for offset in range(entry.count)}

    def read(self, snapshot: MapSnapshot, start: int, count: int, now_s: float) -> tuple[int, ...] | None:
        """Registers `start` to `start + count - 1`; None where one of them does not exist."""
        made: dict[int, list[int]] = {}
        found: list[int] = []
        for register in range(start, start + count):
            entry = self._entries.get(register)
            if entry is None:
                return None
            if entry.start not in made:
                made[entry.start] = entry.words(snapshot, now_s)
            found.append(made[entry.start][register - entry.start])
        return tuple(found)


def _site_words(site: SiteConfiguration, snapshot: MapSnapshot, now_s: float) -> list[int]:
    gates = sum(1 for _ in site.gates())
    return [VERSION, snapshot.scan, _tenths(now_s - snapshot.at_s), len(site.points), gates, len(site.pools), len(site.structures), 0]


def _entry(shown: ShownValue, positions: Mapping[str, str]) -> Entry:
    if shown.kind == "gate":
        return _gate_entry(shown.register, shown.name, positions[shown.name])
    return _value_entry(shown.register, shown.kind, shown.name)


def _gate_entry(start: int, gate: str, position: str) -> Entry:
    def words(snapshot: MapSnapshot, now_s: float) -> list[int]:
        facts = [snapshot.readings.get(f"{gate}.{fact}") for fact in ACTUATOR_FACTS]
        bits = sum(1 << index for index, fact in enumerate(facts) if fact is not None and _is_shown(fact, snapshot, now_s) and fact.value)
        is_known = all(fact is None or _is_shown(fact, snapshot, now_s) for fact in facts) and not _is_old(snapshot, now_s)
        mode = snapshot.modes.get(gate, "")
        code = MODES.index(mode) if mode in MODES and not _is_old(snapshot, now_s) else UNKNOWN_MODE
        value = _value_words(snapshot.readings.get(position), f"point {position}", snapshot, now_s)
        return [*value, code, bits | is_known << 15, *[0] * (GATE_REGISTERS - VALUE_REGISTERS - 2)]

    return Entry(start, GATE_REGISTERS, f"gate {gate}", words)


def _value_entry(start: int, kind: str, name: str) -> Entry:
    def words(snapshot: MapSnapshot, now_s: float) -> list[int]:
        reading = (snapshot.readings if kind == "point" else snapshot.flows).get(name)
        return _value_words(reading, f"{kind} {name}", snapshot, now_s)

    return Entry(start, VALUE_REGISTERS, f"{kind} {name}", words)


def _value_words(reading: Reading | None, counter: str, snapshot: MapSnapshot, now_s: float) -> list[int]:
    """Float, quality, age, counter, a spare register, thousandths."""
    is_shown = reading is not None and _is_shown(reading, snapshot, now_s)
    value = reading.value if is_shown and reading is not None and reading.value is not None else math.nan
    thousandths = BAD_THOUSANDTHS if math.isnan(value) else round(max(BAD_THOUSANDTHS + 1.0, min(2.0**31 - 1.0, value * 1000.0)))
    quality = _QUALITIES[reading.quality] if is_shown and reading is not None else 0
    age = UNKNOWN_AGE if reading is None or reading.value is None else _tenths(reading.age_s + now_s - snapshot.at_s)
    return [*_float_words(value), quality, age, snapshot.counters.get(counter, 0), 0, *struct.unpack(">HH", struct.pack(">i", thousandths))]


def _is_shown(reading: Reading, snapshot: MapSnapshot, now_s: float) -> bool:
    is_number = reading.value is not None and math.isfinite(reading.value)
    return is_number and reading.quality is not Quality.BAD and not _is_old(snapshot, now_s)


def _is_old(snapshot: MapSnapshot, now_s: float) -> bool:
    return not 0.0 <= now_s - snapshot.at_s <= NO_SCAN_S


def _float_words(value: float) -> tuple[int, ...]:
    try:
        return struct.unpack(">HH", struct.pack(">f", value))
    except OverflowError:
        return struct.unpack(">HH", struct.pack(">f", math.nan))


def _tenths(age_s: float) -> int:
    return min(UNKNOWN_AGE - 1, round(age_s * TENTHS)) if math.isfinite(age_s) and age_s >= 0.0 else UNKNOWN_AGE
