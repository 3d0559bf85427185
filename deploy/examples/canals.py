"""The text of the example sites: ASCE canal 1 with its eight pools, as one site and as eight."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.gate_control.decide.tuning import tune_loop
from edge_agent.gate_control.model.pools import LevelLoop, Pool
from edge_agent.gate_control.simulation.asce import CANAL_1, Reach

MARGIN_DEG = 60.0
COUNT = len(CANAL_1.reaches)
RESERVOIR_DEPTH_M = 2.1
DECOUPLERS = (0.7, 0.7, 0.8, 0.8, 0.9, 0.9, 1.0)
"""Litrico's script: 0.7, 0.8, 0.9, 1 down the canal."""


@dataclass(frozen=True)
class Water:
    """A pool's levels in m above the datum."""

    invert_m: float
    target_depth_m: float
    depth_m: float

    @property
    def bank_m(self) -> float:
        return self.invert_m + self.depth_m

    def share(self, freeboard: float) -> float:
        """A level by its share of the freeboard over the target."""
        return self.invert_m + self.target_depth_m + freeboard * (self.depth_m - self.target_depth_m)


def example_sites() -> dict[str, str]:
    """Path under this folder, and text, of each example."""
    sites = {f"canal-8-sites/{number}/site.yaml": _site_of_one(number) for number in range(1, COUNT + 1)}
    return {"canal-8-pools/site.yaml": _site_of_all(), **sites}


def _site_of_all() -> str:
    numbers = range(1, COUNT + 1)
    parts = [
        _head(
            "canal-8-pools",
            "ASCE test canal 1 (Maricopa-Stanfield, Arizona): eight pools in series, one controller for all.",
            "Each gate holds the far end of the pool below it, and passes on at once what the next gate changes.",
        ),
        "devices:\n",
        *[_gate_device(number) for number in numbers],
        _tail_device(),
        _cabinet_device(),
        "\npoints:\n",
        *[_gate_points(number) for number in numbers],
        _tail_point(),
        _cabinet_points(),
        "\npools:\n",
        _reservoir(),
        *[
            _pool(number, inlet=f"g{number}", outlet=f"g{number + 1}" if number < COUNT else None, far_end=f"p{number}.tail")
            for number in numbers
        ],
        "\nstructures:\n",
        *[
            _structure(number, f"decoupler_structure: g{number + 1}, decoupler: {DECOUPLERS[number - 1]}" if number < COUNT else "")
            for number in numbers
        ],
        _inputs(),
    ]
    return "".join(parts)


def _site_of_one(number: int) -> str:
    """Gate `number` with the pool above and below it; the far end of its pool is measured by the next site."""
    last = number == COUNT
    remote = [] if last else [_neighbour_device(number + 1)]
    remote_points = [] if last else [_neighbour_points(number)]
    decoupler = "" if last else f"decoupler_flow_point: g{number + 1}.flow, decoupler: {DECOUPLERS[number - 1]}"
    parts = [
        _head(
            f"canal-{number}",
            f"ASCE test canal 1, gate {number} of 8 as a site of its own.",
            "The far end of its pool is its own sensor." if last else f"The far end of its pool is measured by site canal-{number + 1}.",
            "All eight together: munbon-gate check deploy/examples/canal-8-sites",
        ),
        "# Neighbours read this site's levels and flow here.\n"
        f"modbus_map: {{host: 0.0.0.0, allow: [192.0.2.{20 + number - 1}]}}\n\n" if number > 1 else "",
        "devices:\n",
        _gate_device(number),
        *([_tail_device()] if last else remote),
        _cabinet_device(),
        "\npoints:\n",
        _gate_points(number),
        *([_tail_point()] if last else remote_points),
        _cabinet_points(),
        "\npools:\n",
        _reservoir() if number == 1 else _pool(number - 1, inlet=None, outlet=f"g{number}", far_end=f"p{number - 1}.tail"),
        _pool(number, inlet=f"g{number}", outlet=None, far_end=f"p{number}.tail"),
        "\nstructures:\n",
        _structure(number, decoupler, own_sensors_only=not last),
        _inputs(),
    ]  # fmt: skip
    return "".join(parts)


def _head(site: str, *about: str) -> str:
    comment = "".join(f"# {line}\n" for line in about)
    return (
        f"{comment}# Levels in m above the datum (the canal's lowest point), flows in m3/s, openings in %: 0 least flow, 100 most.\n"
        "# Geometry: Litrico and Fromion 2004, tables 1, 4 and 5. Gains: munbon-gate tune --margin 60. Check: munbon-gate check site.yaml\n"
        f"site: {site}\nstate_dir: /var/lib/munbon-gate\nscan_period_s: 1.0\n\n"
    )


def _gate_device(number: int) -> str:
    return f"""\
  # gate {number}: Rotork IQ and a 4-20 mA input unit behind one gateway
  - {{id: actuator-{number}, link: {{kind: modbus_tcp, host: 192.0.2.{100 + number}}}, device_id: 1}}
  - {{id: levels-{number}, link: {{kind: modbus_tcp, host: 192.0.2.{100 + number}}}, device_id: 2}}
"""


def _tail_device() -> str:
    return "  # end of the last pool\n  - {id: levels-tail, link: {kind: modbus_tcp, host: 192.0.2.109}, device_id: 2}\n"


def _cabinet_device() -> str:
    return (
        "  # cabinet: digital inputs on a serial line\n"
        "  - {id: cabinet, link: {kind: modbus_rtu, path: /dev/ttyAMA0, baud_rate: 19200}, device_id: 5}\n"
    )


def _neighbour_device(number: int) -> str:
    return (
        f"  # the next site's own map; it may be silent for hours\n"
        f"  - {{id: canal-{number}, link: {{kind: modbus_tcp, host: 192.0.2.{20 + number}, port: 1502}}, timeout_s: 0.5}}\n"
    )


def _gate_points(number: int) -> str:
    above, below = _water(number - 1), _water(number)
    upper_m = CANAL_1.inverts_m()[number - 1][0]
    name = "reservoir.tail" if number == 1 else f"p{number - 1}.tail"
    return (
        _level(name, f"levels-{number}", 0, above.invert_m, above.depth_m)
        + _level(f"p{number}.head", f"levels-{number}", 1, upper_m, below.depth_m)
        + f"""\
  - id: g{number}.position
    device: actuator-{number}
    register: 3 # 0 to 1000: 0 to 100.0 %
    unit: pct
    scale: 0.1
    resolution: 0.1
    valid_min: -1.0
    valid_max: 101.0
    max_rate_per_s: 5.0
"""
    )


def _level(name: str, device: str, register: int, zero_m: float, depth_m: float) -> str:
    return f"""\
  - id: {name}
    device: {device}
    register: {register} # in microamperes
    scale: 0.001
    current_loop: {{low: 0.0, high: 3.0}} # m of water over the sensor
    offset: {zero_m:.3f} # the sensor's zero above the datum
    valid_min: {zero_m:.3f}
    valid_max: {zero_m + depth_m + 0.6:.3f}
    max_rate_per_s: 0.05
    noise: 0.001
"""


def _tail_point() -> str:
    last = _water(COUNT)
    return _level(f"p{COUNT}.tail", "levels-tail", 0, last.invert_m, last.depth_m)


def _neighbour_points(number: int) -> str:
    """What this site needs of the next: the far end of the pool between them, and the flow of its gate."""
    below, capacity_m3s = _water(number), _capacity_m3s(number + 1)
    site = f"canal-{number + 1}"
    return f"""\
  - id: p{number}.tail
    remote: {site}
    device: {site}
    register: 1000 # the first point of its map
    age_register: 1003
    counter_register: 1004
    type: float32
    valid_min: {below.invert_m:.3f}
    valid_max: {below.bank_m + 0.6:.3f}
    max_rate_per_s: 0.05
    noise: 0.001
    stale_after_s: 300
  - id: g{number + 1}.flow
    remote: {site}
    device: {site}
    register: 5000 # the flow of its only structure
    age_register: 5003
    counter_register: 5004
    type: float32
    unit: m3s
    valid_min: -0.1
    valid_max: {1.5 * capacity_m3s:.2f}
    max_rate_per_s: 0.5
    stale_after_s: 300
"""


def _cabinet_points() -> str:
    rows = ("mains-lost", "battery-low", "door-open")
    return "".join(
        f"  - {{id: cabinet.{name}, device: cabinet, register: 0, type: bit, bit: {bit}, unit: state,"
        " valid_min: 0, valid_max: 1, max_rate_per_s: 100}\n"
        for bit, name in enumerate(rows)
    )


def _inputs() -> str:
    return """
inputs:
  - {name: mains_lost, point: cabinet.mains-lost}
  - {name: battery_low, point: cabinet.battery-low, delay_s: 30}
  - {name: door_open, point: cabinet.door-open}
"""


def _reservoir() -> str:
    water, high_m3s = _water(0), CANAL_1.reaches[0].high_flow_m3s
    return f"""\
  # the supply before the headgate: nobody controls it, but flow through the gate follows from its level
  - id: reservoir
    outlet: g1
    invert_m: {water.invert_m:.3f}
    bank_m: {water.bank_m:.3f}
    level_min_m: {water.share(-0.9):.3f}
    level_max_m: {water.share(0.5):.3f}
    low: {{flow_m3s: 0.8, delay_s: 0, area_m2: 1000000}}
    high: {{flow_m3s: {high_m3s:g}, delay_s: 0, area_m2: 1000000}}
    tail_levels: [reservoir.tail]
"""


def _pool(number: int, *, inlet: str | None, outlet: str | None, far_end: str) -> str:
    reach, water = CANAL_1.reaches[number - 1], _water(number)
    ends = "".join(f"    {key}: {name}\n" for key, name in (("inlet", inlet), ("outlet", outlet)) if name)
    head = f"    head_levels: [p{number}.head]\n" if inlet else ""
    return f"""\
  - id: p{number}
{ends}    invert_m: {water.invert_m:.3f}
    target_depth_m: {water.target_depth_m:g}
    bank_m: {water.bank_m:.3f}
    level_min_m: {water.invert_m + 0.5 * water.target_depth_m:.3f}
    level_max_m: {water.share(0.5):.3f}
    length_m: {reach.length_m:g}
    low: {{flow_m3s: {reach.low_flow_m3s:g}, delay_s: {reach.low[0]:g}, area_m2: {reach.low[1]:g}}}
    high: {{flow_m3s: {reach.high_flow_m3s:g}, delay_s: {reach.high[0]:g}, area_m2: {reach.high[1]:g}}}
{_resonance(number)}{head}    tail_levels: [{far_end}]
    drawdown: {{per_hour_m: 0.15, per_day_m: 0.30}}
    offtakes:
      - {{id: t{number}, nominal_flow_m3s: {reach.offtake_m3s:g}}}
"""


def _structure(number: int, decoupler: str, *, own_sensors_only: bool = False) -> str:
    width_m, height_m, sill_m = _gate(number)
    loop = _gains(number)
    passed_on = f"\n      {decoupler.replace(', ', chr(10) + '      ')}" if decoupler else ""
    return f"""\
  - id: g{number}
    capacity_m3s: {_capacity_m3s(number):g}
    downstream_end: distant
    downstream_loop:
      kp_m2_per_s: {loop.kp_m2_per_s:g}
      ti_s: {loop.ti_s:g}
      filter_s: {loop.filter_s:g}
      control_period_s: {loop.control_period_s:g}{passed_on}
    gates:
      - id: g{number}
        geometry: {{kind: undershot, width_m: {width_m:g}, sill_m: {sill_m:.3f}, height_m: {height_m:g}, cd: 0.61}}
        actuator:
          profile: rotork_iq
          device: actuator-{number}
          position: g{number}.position
          desired_position: {{device: actuator-{number}, table: holding, register: 6, scale: 0.1}}
          stroke_time_s: {CANAL_1.stroke_time_s:g}
          comms_lost: {{action: stay, timer_s: 30}}
        limits: {{opening_max_pct: 95, deadband_pct: 0.5, min_run_s: 0.5, rest_s: 10, starts_per_hour: 30}}
        fallback: {{kind: hold, after_s: 1800}}
        interlocks:
{_interlocks(number, own_sensors_only=own_sensors_only)}"""


def _interlocks(number: int, *, own_sensors_only: bool) -> str:
    below, point = _water(number), f"p{number}.tail"
    if own_sensors_only:
        # protection never stands on another site: the near end of the pool, with the same freeboard there
        upper_m = round(CANAL_1.inverts_m()[number - 1][0], 6)
        below, point = Water(upper_m, below.target_depth_m, below.depth_m), f"p{number}.head"
    blocks = [_interlock("below-high", point, "high", "action: inhibit_open, priority: 1", below.share(0.65), below.share(0.5))]
    if number > 1:
        above, point = _water(number - 1), f"p{number - 1}.tail"
        low_m = above.invert_m + 0.4 * above.target_depth_m
        flood = "action: drive_to, opening_pct: 95, priority: 2, flood: true"
        blocks += [
            _interlock("above-flood", point, "high", flood, above.share(0.85), above.share(0.65)),
            _interlock("above-low", point, "low", "action: inhibit_open, priority: 1", low_m, low_m + 0.05),
        ]
    return "".join(blocks)


def _interlock(name: str, point: str, side: str, action: str, trip_m: float, reset_m: float) -> str:
    return (
        f"          - {{name: {name}, points: [{point}], side: {side}, {action},\n"
        f"             trip: {trip_m:.3f}, reset: {reset_m:.3f}, delay_s: 5}}\n"
    )


def _water(number: int) -> Water:
    """Of a pool at its lower end; 0 is the reservoir."""
    if number == 0:
        return Water(CANAL_1.inverts_m()[0][0], RESERVOIR_DEPTH_M, RESERVOIR_DEPTH_M + 0.9)
    reach: Reach = CANAL_1.reaches[number - 1]
    # the lowest bed comes out as -4e-16
    return Water(round(CANAL_1.inverts_m()[number - 1][1], 6) + 0.0, reach.target_depth_m, reach.canal_depth_m)


def _gate(number: int) -> tuple[float, float, float]:
    """Width, height, sill."""
    if number == 1:
        return CANAL_1.headgate_width_m, CANAL_1.headgate_height_m, _water(0).invert_m
    above = CANAL_1.reaches[number - 2]
    return above.gate_width_m, above.gate_height_m, _water(number - 1).invert_m


def _capacity_m3s(number: int) -> float:
    return round(1.1 * CANAL_1.reaches[number - 1].high_flow_m3s, 2)


def _resonance(number: int) -> str:
    """Of canal 1 only the first pool oscillates; the others run too fast and too shallow (Clemmens et al. 2015)."""
    if number != 1:
        return ""
    reach = CANAL_1.reaches[0]
    period_s, peak = CANAL_1.resonance_s(reach, reach.low_flow_m3s), CANAL_1.resonance_peak_s_per_m2(reach, reach.low_flow_m3s)
    return f"    resonance_period_s: {period_s:.0f}\n    resonance_peak_s_per_m2: {peak:.3f}\n"


def _gains(number: int) -> LevelLoop:
    """What `munbon-gate tune --margin 60` says for this pool."""
    reach, water = CANAL_1.reaches[number - 1], _water(number)
    first = number == 1
    pool = Pool.model_validate(
        {
            "id": f"p{number}",
            "invert_m": water.invert_m,
            "bank_m": water.bank_m,
            "low": {"flow_m3s": reach.low_flow_m3s, "delay_s": reach.low[0], "area_m2": reach.low[1]},
            "high": {"flow_m3s": reach.high_flow_m3s, "delay_s": reach.high[0], "area_m2": reach.high[1]},
            "resonance_period_s": round(CANAL_1.resonance_s(reach, reach.low_flow_m3s)) if first else None,
            "resonance_peak_s_per_m2": round(CANAL_1.resonance_peak_s_per_m2(reach, reach.low_flow_m3s), 3) if first else None,
            "level_min_m": water.share(-1.0),
            "level_max_m": water.share(0.5),
        }
    )
    return tune_loop(pool, MARGIN_DEG)
