"""Words of docs/reference/site.md: its head, what `check` refuses, and keys that need no docstring in the model."""

from __future__ import annotations

HEAD = """<!-- written by `python -m deploy.site_docs`; edit the docstrings in edge_agent/gate_control/model, or deploy/site_words.py -->

# `site.yaml`

A site as its owner configures it. Levels are in m above one datum of the site, flows in m3/s, openings in percent: 0 % gives the
least flow, 100 % the most, overshot gates included. An unknown key is a mistake, and so is a number in quotes; a key may stand once.
Words are YAML 1.2's: only `true` and `false` are yes and no, `12:30` is text, `010` is refused. Anchors and `<<` work.

`munbon-gate check site.yaml` names every mistake with line, reason and remedy and exits with 2; give it the files of all sites of a canal
(or their folder), and it also says what is wrong between them, which one file cannot show. `munbon-gate tune site.yaml` computes gains
([tuning](../concepts/tuning.md)). Examples to copy: `deploy/examples/canal-8-pools` (one site) and `deploy/examples/canal-8-sites`
(eight sites that read each other). For editors: [the JSON Schema](schemas/site.json).

"""

REFUSED = {
    "units": (
        "figures off by orders of magnitude: levels, depths, flows, areas, delays, times, rates, scales, drawdown limits, current loops",
        "registers that cannot say the whole travel, or only a few places of it",
    ),
    "names": ("anything that names a device, point, pool or structure that is not there", "two things of one name"),
    "devices": (
        "two devices that are one unit",
        "two settings of one serial line, or a line too slow for its time limits",
        "stale after less than two scans",
        "a rate below one resolution in a scan",
        "resolution, noise, scale or current loop that do not fit the valid range",
        "a resolution finer than the register's step",
        "two points in one register, registers behind the last one, orders of words or bytes that mean nothing",
        "a point whose owner is this site itself, or that has the name of what an actuator says of itself",
        "hosts that are neither an address nor a name",
    ),
    "water": (
        "a pool below itself",
        "a gate that takes from two pools; a gauge of two pools",
        "bed, setpoints and bank out of order",
        "a target outside the setpoints",
        "valid ranges that do not hold the setpoints",
        "sills above the bank or gates under the bed",
        "flows above what a gate may or can pass",
        "delays faster than any wave",
        "pools that stand higher than the water above them; low and high at one flow with two figures",
        "offtakes that take more than their gate passes; drawdown limits of pools without a level",
    ),
    "motors": (
        "two gates on one register or one position; a position that is read from where the command is written",
        "tables that do not rise, or do not cover the travel",
        "limits that leave no room",
        "a deadband below two position counts or below the travel of the minimum run",
        "a tolerance below a count or above the deadband",
        "relays without a hardware pulse limit, or with a useless one; a register of relays that two gates share",
        "a setpoint elsewhere than the profile's, or scaled otherwise than the position",
        "a comms-lost timer below three heartbeats (scans, or rounds of a serial line whose units are all silent)",
    ),
    "interlocks": (
        "trips outside the sensor's range, above the bank, under the bed, or inside the setpoints",
        "an action that makes the level worse",
        "points of another site alone",
        "two that can disagree without different priorities",
        "one that acts in no mode",
    ),
    "loops": (
        "a phase margin below `phase_margin_min_deg` (45) or a gain margin below 6 dB at low or high flow, with the safe range",
        "a loop without its level",
        "a decoupler that does not stand at the pool's other end",
        "two loops that may hold one pool, by plan or by fallback",
        "a fallback to a level that nothing holds, or that is another site's, or that the bays of one structure do not share",
        "decouplers that go round in a circle",
        "levels that would always be too old for the loop",
    ),
    "the process": (
        "rules for alarms that there are not, or that would come too late for anybody",
        "paths that are none or the same, a socket's path too long for the kernel, two roles for one user",
    ),
    "several sites together": (
        "two loops of two sites that may hold one pool, by plan or by fallback",
        "a remote point whose site is not there, has no map, listens elsewhere, or does not let this site in",
        "a remote point whose register, type, order of bytes, scale, unit, age, counter, range, rate or resolution is not its owner's",
        "a level that is another end or another pool for its owner",
        "a pool that two sites give otherwise (each in its own datum), or that has two gates at one end",
        "a circle of pools, or of decouplers, over several sites",
        "a register that two sites write, two sites of one name, two sites at one address",
    ),
}

MEANINGS = {
    "SiteConfiguration.site": "Name of the site; plans, commands and neighbours use it.",
    "SiteConfiguration.state_dir": "Where journal and plans are kept.",
    "SiteConfiguration.socket": "The local console and the agent ask here.",
    "SiteConfiguration.interlock_file": "Whether an update may start now; on a tmpfs.",
    "SiteConfiguration.trust_root": "Keys that may sign plans and commands; the agent cannot write it.",
    "SiteConfiguration.local_plan": "A plan made at the site.",
    "SiteConfiguration.scan_period_s": "Sense, validate, decide and actuate once each.",
    "SiteConfiguration.series_period_s": "Between two stored values of a series.",
    "SiteConfiguration.journal_days": "How long records are kept, if `journal_max_mb` allows.",
    "SiteConfiguration.journal_max_mb": "Then the oldest records go.",
    "SiteConfiguration.phase_margin_min_deg": "`check` refuses loops with less.",
    "SiteConfiguration.console_roles": "Who may do what at the console.",
    "SiteConfiguration.modbus_map": "None: no map.",
    "ConsoleRole.uid": "User number on this machine, as the socket tells it.",
    "Device.device_id": "Modbus unit number.",
    "Device.timeout_s": "Of one request.",
    "Device.echo_value": "What `echo_register` must hold.",
    "Point.device": "Which device holds the register.",
    "Point.register": "Address as sent on the wire, counted from 0.",
    "Point.table": "Input registers or holding registers.",
    "Point.type": "How registers make a number.",
    "Point.bit": "For type `bit`: which one, 0 the lowest.",
    "Point.scale": "`value = raw * scale + offset`.",
    "Point.unit": "What the value means after scale, offset and current loop.",
    "Point.valid_min": "Below it a value is not believed.",
    "Point.valid_max": "Above it a value is not believed.",
    "RegisterPlace.device": "Which device holds the register.",
    "RegisterPlace.register": "Address as sent on the wire, counted from 0.",
    "RegisterPlace.table": "Outputs stand among the holding registers.",
    "RegisterPlace.type": "How registers make a number.",
    "RegisterPlace.bit": "For type `bit`: which one, 0 the lowest.",
    "RegisterPlace.scale": "`value = raw * scale + offset`; written the other way round.",
    "CurrentLoop.fault_after_s": "A broken loop is a fault after so long (NAMUR NE 43: about 4 s).",
    "Pool.target_depth_m": "Above `invert_m`; the level that is meant, for check and simulation.",
    "Pool.length_m": "Between its structures.",
    "Pool.low": "Delay and area at the lowest flow.",
    "Pool.high": "Delay and area at the highest flow.",
    "Pool.resonance_period_s": "A wave down the pool and back, L/(c+v) + L/(c-v); none: the pool does not oscillate.",
    "Pool.level_min_m": "Lowest setpoint.",
    "Pool.drawdown": "None: the pool may fall as fast as it will.",
    "Pool.offtakes": "Outlets of the pool.",
    "PoolDynamics.flow_m3s": "Flow at which delay and area hold.",
    "PoolDynamics.delay_s": "From a change at the inlet to the rise at the far end; a known constant delay of the sensor belongs here.",
    "PoolDynamics.area_m2": "Backwater area: m3 for each m of level.",
    "Offtake.structure": "Its gate, where it is one of this site.",
    "Offtake.nominal_flow_m3s": "Where nobody measures it.",
    "Drawdown.per_hour_m": "Most that the level may fall in any hour.",
    "Drawdown.per_day_m": "Most that the level may fall in any 24 h.",
    "Structure.gates": "Its bays.",
    "Structure.downstream_end": "Which end of the pool below `downstream_loop` holds: beside the gate, or the far end.",
    "LevelLoop.ti_s": "Integral time.",
    "LevelLoop.filter_s": "First-order filter of the level, against waves.",
    "LevelLoop.control_period_s": "Between two decisions of this loop.",
    "FlowLoop.control_period_s": "Between two corrections of the flow.",
    "FlowLoop.ti_s": "Integral time of the correction.",
    "FlowLoop.flow_points": "Measured flow; none: computed by the gate law.",
    "Gate.id": "Name of the gate; commands and alarms use it.",
    "Gate.fail_safe": "After lost state.",
    "Geometry.width_m": "Of the opening or crest.",
    "Geometry.cd": "Discharge coefficient of the flow law.",
    "Actuator.device": "Whose registers the profile means.",
    "Actuator.desired_position": "Where the absolute setpoint is written.",
    "Actuator.status": "Status bits, where they differ from the profile's.",
    "Actuator.profile": "Register map of the actuator.",
    "TravelPoint.count": "As the position point tells it.",
    "TravelPoint.opening_m": "Undershot above the sill, overshot below the highest crest.",
    "CommsLost.action": "What the actuator does by itself.",
    "CommsLost.timer_s": "After so long without us.",
    "CommsLost.opening_pct": "For action `position`.",
    "Limits.opening_min_pct": "No command goes below.",
    "Limits.opening_max_pct": "No command goes above.",
    "Limits.rate_pct_per_min": "Fastest mean travel that the controller asks for.",
    "Limits.flow_max_m3s": "Most flow that is asked of this gate.",
    "Interlock.points": "Sensors that vote; the worst valid one counts.",
    "Interlock.side": "Trips above or below `trip`.",
    "Interlock.action": "What it does while tripped.",
    "Interlock.reset": "Back to normal beyond this.",
    "Interlock.delay_s": "The value must last so long.",
    "Interlock.modes": "In which modes it acts.",
    "Motion.start_within_s": "Some travel must be seen by then.",
    "Fallback.after_s": "T2: so long the gate only holds.",
    "Fallback.opening_pct": "For `position` and `open_on_high`.",
    "Fallback.level_m": "For `level`.",
    "SiteInput.point": "A point of unit `state`.",
    "SiteInput.delay_s": "It must last so long.",
    "AlarmRule.priority": "How soon a person must act.",
    "AlarmRule.on_delay_s": "The condition must last so long before the alarm.",
    "AlarmRule.off_delay_s": "It must be gone so long before the alarm ends.",
}
"""By `Model.key`; a docstring in the model wins."""


def refused_table() -> str:
    """The last section of the page."""
    rows = "".join(f"| {about} | {'; '.join(items)} |\n" for about, items in REFUSED.items())
    return f"\n## What `check` refuses beyond single values\n\n| about | refused |\n|---|---|\n{rows}"
