"""`munbon-gate check`: each mistake with its line, and the shipped examples without any."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.examples.canals import example_sites
from edge_agent.gate_control.check.finding import Finding, SiteInvalid
from edge_agent.gate_control.check.site_rules import check_site
from edge_agent.gate_control.check.yaml_site import load_site, parse_site
from edge_agent.gate_control.console.cli import run_command
from edge_agent.gate_control.modbus_map.layout import layout_of
from shared.errors import UsageError

EXAMPLES = Path(__file__).parents[3] / "deploy" / "examples"
SITES = example_sites()
ONE = SITES["canal-8-sites/2/site.yaml"]
ALL = SITES["canal-8-pools/site.yaml"]
UPSTREAM_LOOP = "    upstream_loop: {kp_m2_per_s: 1.0, ti_s: 4000, filter_s: 60, control_period_s: 10}\n"


def never(*_arguments: object) -> int:
    raise AssertionError("check must not run the gate")


def findings_of(text: str) -> tuple[Finding, ...]:
    try:
        site, lines = parse_site(text, source="site.yaml")
    except SiteInvalid as error:
        return error.findings
    return check_site(site, lines)


def replaced(text: str, right: str, wrong: str) -> tuple[str, int]:
    """The text with its mistake, and the line of the mistake."""
    assert text.count(right) >= 1, right
    start = text.index(right)
    return text.replace(right, wrong, 1), text[:start].count("\n") + 1


def relays(limit: str) -> str:
    return (
        "          profile: relays\n"
        "          relays:\n"
        f"            {{raise_output: {{device: actuator-2, table: holding, register: 8, type: bit, bit: 0}},{limit}\n"
        "             lower_output: {device: actuator-2, table: holding, register: 8, type: bit, bit: 1}}\n"
    )


ROTORK = "          profile: rotork_iq\n"
DESIRED = "          desired_position: {device: actuator-2, table: holding, register: 6, scale: 0.1}\n"


@pytest.mark.parametrize("name", SITES)
def test_a_shipped_example_is_good_and_is_what_its_maker_writes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["check", str(EXAMPLES / name)], never) == 0
    assert ": good" in capsys.readouterr().out
    assert (EXAMPLES / name).read_text(encoding="utf-8") == SITES[name], "run: python -m deploy.examples"


def test_each_of_the_eight_sites_finds_its_neighbours_values_where_the_neighbour_shows_them() -> None:
    for number in range(1, 8):
        own, _ = parse_site(SITES[f"canal-8-sites/{number}/site.yaml"], source="own")
        neighbour, _ = parse_site(SITES[f"canal-8-sites/{number + 1}/site.yaml"], source="neighbour")
        shown = {entry.name: entry.start for entry in layout_of(neighbour)}
        level, flow = own.point(f"p{number}.tail"), own.point(f"g{number + 1}.flow")
        assert level is not None
        assert flow is not None
        assert level.remote == flow.remote == neighbour.site
        assert level.register_address == shown[f"point p{number}.tail"]
        assert flow.register_address == shown[f"flow g{number + 1}"]
        assert neighbour.modbus_map is not None
        assert neighbour.modbus_map.allow == (f"192.0.2.{20 + number}",)


# what stood there, what somebody wrote, what must be said of it; its line is the changed one, or the first with the last column
MISTAKES: list[tuple[str, str, str, str]] = [
    # reading
    ("scan_period_s: 1.0", "scan_period: 1.0", "key 'scan_period' is not known", ""),
    ("scan_period_s: 1.0", "scan_period_s: 0", "0: must be greater than or equal to 0.05", ""),
    ("scan_period_s: 1.0", 'scan_period_s: "1.0"', "'1.0': must be a valid number", ""),
    ("scan_period_s: 1.0", "scan_period_s: yes", "'yes': must be a valid number", ""),
    ("scan_period_s: 1.0", "scan_period_s: .inf", ".inf is no figure", ""),
    ("scan_period_s: 1.0", "scan_period_s: 010", "010 can be read in two ways", ""),
    ("scan_period_s: 1.0", "site: canal-3", "key 'site' stands twice", ""),
    ("site: canal-2", "site: Canal 2", "must match pattern", ""),
    ("    register: 3 ", "    registr: 3 ", "register is missing", "- id: g2.position"),
    ("    register: 3 ", "    register: 70000 ", "must be less than or equal to 65535", ""),
    (
        "kind: modbus_tcp, host: 192.0.2.102}, device_id: 1",
        "kind: modbus, host: a}, device_id: 1",
        "does not match any of the expected",
        "",
    ),
    ("valid_max: 101.0", "valid_max: -2.0", "valid_min -1.0 must be below valid_max -2.0", "- id: g2.position"),
    ("kind: undershot", "kind: sluice", "must be 'undershot' or 'overshot'", ""),
    ("trip: 26.870", "trip: 26.0", "reset 26.83 must be below trip 26.0", "name: above-flood"),
    # names
    ("device: actuator-2\n    register: 3", "device: actuator-3\n    register: 3", "there is no device 'actuator-3'", ""),
    ("position: g2.position", "position: g2.pos", "there is no point 'g2.pos'", ""),
    ("outlet: g2", "outlet: g3", "there is no structure 'g3'", ""),
    ("[p1.tail], side: low", "[p1.tale], side: low", "there is no point 'p1.tale'", ""),
    ("- {id: levels-2,", "- {id: actuator-2,", "device actuator-2 stands twice", ""),
    ("- id: p2.head", "- id: p1.tail", "point p1.tail stands twice", ""),
    ("name: above-low", "name: above-flood", "interlock above-flood stands twice", ""),
    ("name: door_open", "name: battery_low", "input battery_low stands twice", ""),
    # devices and points
    ("192.0.2.102}, device_id: 2", "192.0.2.102}, device_id: 1", "device levels-2 is the same unit as actuator-2", ""),
    ("    unit: pct\n    scale", "    stale_after_s: 1.5\n    unit: pct\n    scale", "stale_after_s 1.5 is less than two scans", ""),
    ("max_rate_per_s: 5.0", "max_rate_per_s: 0.01", "allows less than one resolution", ""),
    ("resolution: 0.1", "resolution: 50", "resolution 50 is more than a tenth of the valid range", ""),
    ("resolution: 0.1", "resolution: 0.01", "finer than a step of the register, 0.1 pct", ""),
    ("noise: 0.001", "noise: 1.0", "noise 1 is more than a tenth", ""),
    ("    scale: 0.1\n", "    scale: 0.000001\n", "the register can show 0 to 0.065535 pct, less than half of -1 to 101", ""),
    ("{low: 0.0, high: 3.0}", "{low: 3.0, high: 3.0}", "at 4 mA and at 20 mA", ""),
    ("{low: 0.0, high: 3.0}", "{low: 100.0, high: 103.0}", "the current loop shows 125.8 to 128.8", ""),
    ("bit: 2, unit: state", "bit: 2, unit: count", "unit 'state' and type 'bit' belong together", ""),
    ("mains_lost, point: cabinet.mains-lost", "mains_lost, point: p2.head", "point p2.head is in m, not a state", ""),
    ("allow: [192.0.2.21]", "allow: [192.0.2.300]", "'192.0.2.300' does not appear to be", ""),
    # water
    ("    inlet: g2\n", "", "pool p2 has neither inlet nor outlet", "- id: p2\n"),
    (
        "    inlet: g2\n",
        "    inlet: g2\n    outlet: g2\n",
        "structure g2 already takes water from pool p1",
        "outlet: g2\n    invert_m: 22.4",
    ),
    ("    outlet: g2\n", "    inlet: g2\n    outlet: g2\n", "pool p1 lies below itself", "outlet: g2"),
    ("    level_min_m: 22.850", "    level_min_m: 0.45", "level_min_m 0.45 is not above the bed", ""),
    ("    level_max_m: 23.400", "    level_max_m: 22.8", "is not below level_max_m", ""),
    ("    level_max_m: 23.400", "    level_max_m: 23.6", "level_max_m 23.6 is not below the bank", ""),
    ("target_depth_m: 0.9\n    bank_m: 23.500", "target_depth_m: 1.05\n    bank_m: 23.500", "the target level 23.45", ""),
    ("    tail_levels: [p2.tail]", "    tail_levels: [g3.flow]", "point g3.flow is in m3s, not in m", ""),
    ("    tail_levels: [p2.tail]", "    tail_levels: [p2.tail, p2.tail]", "point p2.tail stands twice", ""),
    ("    tail_levels: [p2.tail]", "    tail_levels: [p1.tail]", "is believed from 25.8 to 27.5 m, but setpoints go from 22.85", ""),
    ("low: {flow_m3s: 0.7", "low: {flow_m3s: 1.9", "low.flow_m3s 1.9 is above high.flow_m3s 1.8", ""),
    ("delay_s: 338", "delay_s: 5", "1200 m in delay_s 5 is faster than any wave", ""),
    ("high: {flow_m3s: 1.8", "high: {flow_m3s: 18", "high.flow_m3s 18 is above the 1.98 m3/s", ""),
    ("width_m: 1.5", "width_m: 1500", "a gate of 1500 m", ""),
    ("sill_m: 25.800", "sill_m: 27.0", "sill_m 27 is not below the bank of pool p1, 26.9", ""),
    ("sill_m: 25.800", "sill_m: 0.0", "lies under the bed of pool p1", ""),
    ("capacity_m3s: 1.98", "capacity_m3s: 1980", "capacity_m3s 1980 is more than", ""),
    # motors
    ("stroke_time_s: 120", "stroke_time_s: 1", "1 m in stroke_time_s 1", ""),
    (DESIRED, DESIRED + "          table: [{count: 0, opening_m: 0}, {count: 100, opening_m: 0}]\n", "does not rise over 0", "table: [{"),
    (
        DESIRED,
        DESIRED + "          table: [{count: 0, opening_m: 0}, {count: 60, opening_m: 0.5}, {count: 50, opening_m: 1}]\n",
        "the counts neither only rise nor only fall",
        "table: [{",
    ),
    (
        DESIRED,
        DESIRED + "          table: [{count: 0, opening_m: 0}, {count: 90, opening_m: 0.9}]\n",
        "the gate's travel from 0 to 1 m",
        "table: [{",
    ),
    ("    unit: pct\n", "    unit: count\n", "is in counts, and the actuator has no table", "position: g2.position"),
    ("    unit: pct\n", "    unit: m\n", "is in m, neither pct nor count", "position: g2.position"),
    ("valid_max: 101.0", "valid_max: 90.0", "is believed from -1 to 90, but the travel is 0 to 100", "position: g2.position"),
    ("opening_max_pct: 95,", "opening_max_pct: 0.2,", "leaves less room than deadband_pct 0.5", ""),
    ("rest_s: 10", "rest_s: 10, max_step_pct: 0.4", "max_step_pct 0.4 is below deadband_pct 0.5", ""),
    ("drive_to, opening_pct: 95", "drive_to, opening_pct: 99", "99 % lies outside the gate's own limits 0 to 95 %", ""),
    ("kind: hold, after_s: 1800", "kind: position, opening_pct: 97", "97 % lies outside the gate's own limits", ""),
    ("deadband_pct: 0.5, min_run_s: 0.5", "deadband_pct: 0.15, min_run_s: 0", "less than two position counts (0.2 %)", ""),
    ("min_run_s: 0.5", "min_run_s: 2", "less than the travel of the minimum run (1.67 % in 2 s)", ""),
    ("        fallback: {kind", "        motion: {tolerance_pct: 0.05}\n        fallback: {kind", "less than one position count", ""),
    (
        "        fallback: {kind",
        "        motion: {tolerance_pct: 1}\n        fallback: {kind",
        "tolerance_pct 1 is more than deadband_pct",
        "",
    ),
    (
        "        fallback: {kind",
        "        fail_safe: position\n        fallback: {kind",
        "fail_safe_pct belongs to fail_safe 'position'",
        "",
    ),
    ("actuator-2, table: holding", "actuator-2, table: input", "desired_position stands among the input registers", ""),
    (DESIRED, DESIRED + "          status: {device: actuator-2, jammed_bit: 16}\n", "jammed_bit 16 is no bit of a register", "status: {"),
    (DESIRED, DESIRED + "          status: {device: actuator-2, jammed_bit: 0}\n", "bit 0 has more than one meaning", "status: {"),
    (ROTORK, relays(""), "relays without a hardware pulse limit", "relays:\n"),
    (ROTORK, relays(" hardware_pulse_limit_s: 120,"), "is a whole stroke (120 s)", "hardware_pulse_limit_s"),
    (ROTORK, relays(" hardware_pulse_limit_s: 0.3,"), "is shorter than min_run_s 0.5", "hardware_pulse_limit_s"),
    (
        ROTORK,
        relays(" hardware_pulse_limit_s: 5,").replace("bit: 1", "bit: 0"),
        "raise_output and lower_output are one bit of register 8 of actuator-2",
        "lower_output",
    ),
    ("{action: stay, timer_s: 30}", "{action: stay, timer_s: 2}", "timer_s 2 is less than three heartbeats of 1 s", ""),
    ("{action: stay, timer_s: 30}", "{action: position, timer_s: 30}", "opening_pct belongs to action 'position'", ""),
    # interlocks
    ("trip: 25.830, reset: 25.800", "trip: 27.000, reset: 25.8", "trip 27 lies outside the valid range of p2.head", "below-high"),
    ("trip: 26.870", "trip: 26.950", "trip 26.95 is above the bank of pool p1", ""),
    ("trip: 26.870, reset: 26.830", "trip: 26.790, reset: 26.700", "trip 26.79 is not above the highest setpoint of pool p1", ""),
    ("trip: 26.160, reset: 26.210", "trip: 26.300, reset: 26.400", "trip 26.3 is not below the lowest setpoint", ""),
    ("points: [p2.head], side: high", "points: [p2.tail], side: high", "stands on points of another site alone", ""),
    ("points: [p2.head], side: high", "points: [p2.head, g3.flow], side: high", "compares m and m3s with one trip value", ""),
    ("side: low, action: inhibit_open", "side: low, action: inhibit_close", "low water above the gate (pool p1) and inhibit_close", ""),
    ("priority: 2, flood: true", "flood: true", "interlocks below-high and above-flood of gate g2 can ask for opposite things", ""),
    ("priority: 2, flood: true", "priority: 1, flood: true", "interlocks below-high and above-flood", ""),
    # loops
    ("kp_m2_per_s: 0.411", "kp_m2_per_s: 1.5", "phase margin of pool p2 is ", ""),
    ("ti_s: 8400", "ti_s: 840", "phase margin of pool p2 is ", "kp_m2_per_s"),
    ("control_period_s: 60", "control_period_s: 600", "phase margin of pool p2 is ", "kp_m2_per_s"),
    ("control_period_s: 60", "control_period_s: 0.5", "control_period_s 0.5 is below scan_period_s", ""),
    (
        "    downstream_end",
        "    flow_loop: {control_period_s: 60, ti_s: 90}\n    downstream_end",
        "ti_s 90 is below two control periods",
        "",
    ),
    ("    downstream_end", "    flow_loop: {flow_points: [p2.head]}\n    downstream_end", "point p2.head is in m, not in m3s", ""),
    ("decoupler_flow_point: g3.flow", "decoupler_flow_point: p2.head", "point p2.head is in m, not in m3s", ""),
    ("decoupler_flow_point: g3.flow", "decoupler_structure: g2", "decoupler_structure g2 does not stand at the end of pool p2", ""),
    ("    tail_levels: [p2.tail]\n", "", "pool p2 has no tail_levels", "downstream_loop"),
    ("    tail_levels: [p1.tail]\n", "", "structure g2 holds a level, but no level above it is known", "- id: g2\n    cap"),
    ("    inlet: g2\n", "    outlet: g2\n", "structure g2 feeds 0 pools", "downstream_loop"),
    (
        "fallback: {kind: hold, after_s: 1800}",
        "fallback: {kind: level, level_point: p1.tail, level_m: 26.7}",
        "no loop of g2 holds p1.tail",
        "",
    ),
    (
        "fallback: {kind: hold, after_s: 1800}",
        "fallback: {kind: level, level_point: p2.tail, level_m: 23.3}",
        "point p2.tail belongs to site canal-3",
        "",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "said", "at"), MISTAKES)
def test_a_mistake_is_named_with_its_line_reason_and_remedy(right: str, wrong: str, said: str, at: str) -> None:
    text, line = replaced(ONE, right, wrong)
    if wrong.startswith(ROTORK[:19]) and "relays" in wrong:
        text = text.replace(DESIRED, "")
    found = findings_of(text)
    named = [one for one in found if said in one.problem]
    assert named, [str(one) for one in found]
    expected = text[: text.index(at)].count("\n") + 1 if at else line
    assert named[0].line == expected, named[0]
    assert named[0].reason
    assert named[0].remedy


def test_all_mistakes_come_at_once_and_the_exit_code_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = ONE
    for right, wrong in (("deadband_pct: 0.5", "deadband_pct: 0.1"), ("delay_s: 338", "delay_s: 5"), ("bank_m: 23.500", "bank_m: 23.3")):
        text, _ = replaced(text, right, wrong)
    path = tmp_path / "site.yaml"
    path.write_text(text)
    assert run_command(["check", str(path)], never) == 2
    err = capsys.readouterr().err
    for said in ("two position counts", "travel of the minimum run", "faster than any wave", "is not below the bank"):
        assert said in err
    assert f"{path}:{replaced(text, 'delay_s: 5', '')[1]}: pools[1].high.delay_s" in err
    assert "nothing was changed" in err


def test_findings_as_json_can_be_read_by_an_editor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(replaced(ONE, "delay_s: 338", "delay_s: 5")[0])
    assert run_command(["check", str(path), "-o", "json"], never) == 2
    listed = json.loads(capsys.readouterr().out)
    assert listed["good"] is False
    assert {"line", "path", "problem", "reason", "remedy"} == set(listed["findings"][0])


def test_the_trap_of_published_gains_is_refused_with_a_range_that_is_safe() -> None:
    # Litrico's 0.471 A / tau and 6.03 tau, behind the filter that this pool needs
    text, _ = replaced(ONE, "kp_m2_per_s: 0.411", f"kp_m2_per_s: {0.471 * 821 / 426:.3f}")
    text, _ = replaced(text, "ti_s: 8400", "ti_s: 2569")
    (finding,) = findings_of(text)
    assert "below 45" in finding.problem
    kp = float(finding.remedy.split("kp_m2_per_s ")[1].split(" to ")[1].split()[0])
    ti_s = float(finding.remedy.split("at ti_s ")[1].split(",")[0])
    better, _ = replaced(text, f"kp_m2_per_s: {0.471 * 821 / 426:.3f}", f"kp_m2_per_s: {kp:g}")
    better, _ = replaced(better, "ti_s: 2569", f"ti_s: {ti_s:g}")
    assert findings_of(better) == ()


def test_two_integrators_on_one_pool_are_refused_in_any_combination() -> None:
    # g2 holds the far end of p2; g3, which ends p2, may hold it too by its other loop
    both, _ = replaced(ALL, "  - id: g3\n", "  - id: g3\n" + UPSTREAM_LOOP)
    said = [one.problem for one in findings_of(both)]
    assert any("g3 upstream_loop and g2 downstream_loop both hold pool p2" in problem for problem in said)
    fallback = "fallback: {kind: level, level_point: p2.tail, level_m: 23.3}"
    start = both.index("      - id: g3\n")
    by_fallback = both[:start] + both[start:].replace("fallback: {kind: hold, after_s: 1800}", fallback, 1)
    said = [one.problem for one in findings_of(by_fallback)]
    assert any("both hold pool p2" in problem for problem in said)


def test_two_gates_on_one_register_are_refused() -> None:
    text, line = replaced(ALL, "desired_position: {device: actuator-2,", "desired_position: {device: actuator-1,")
    named = [one for one in findings_of(text) if "register 6 of actuator-1 is written for g1 desired_position too" in one.problem]
    assert [one.line for one in named] == [line]


def test_a_position_that_two_gates_share_is_refused() -> None:
    text, _ = replaced(ALL, "position: g2.position", "position: g1.position")
    assert any("is the position of gate g1 too" in one.problem for one in findings_of(text))


def test_half_a_structure_cannot_fall_back_to_a_level() -> None:
    start = ALL.index("      - id: g8\n")
    bay = ALL[start : ALL.index("\ninputs:")]
    second = bay.replace("id: g8", "id: g8b").replace("kind: hold, after_s: 1800", "kind: level, level_point: p8.tail, level_m: 0.8")
    text = ALL.replace(bay, bay + second)
    assert any("some gates of g8 fall back to a level, others not" in one.problem for one in findings_of(text))


def test_a_gate_on_relays_with_a_one_shot_is_good() -> None:
    text, _ = replaced(ONE, ROTORK, relays(" hardware_pulse_limit_s: 5,"))
    assert findings_of(text.replace(DESIRED, "")) == ()


def test_an_overshot_gate_whose_counts_fall_as_it_opens_is_good() -> None:
    text, _ = replaced(
        ONE, "{kind: undershot, width_m: 1.5, sill_m: 25.800, height_m: 1,", "{kind: overshot, width_m: 3, sill_m: 26.1, height_m: 0.6,"
    )
    text, _ = replaced(
        text, DESIRED, DESIRED + "          table: [{count: 100, opening_m: 0}, {count: 60, opening_m: 0.2}, {count: 0, opening_m: 0.6}]\n"
    )
    assert findings_of(text) == ()


def test_a_gate_that_knows_no_level_above_cannot_open_on_high_water() -> None:
    text, _ = replaced(ONE, "    tail_levels: [p1.tail]\n", "")
    text, line = replaced(text, "fallback: {kind: hold, after_s: 1800}", "fallback: {kind: open_on_high, opening_pct: 95}")
    assert [one.line for one in findings_of(text) if "falls back to open_on_high" in one.problem] == [line]


def test_units_on_one_line_must_agree_about_the_line() -> None:
    other = "  - {id: cabinet2, link: {kind: modbus_rtu, path: /dev/ttyAMA0, baud_rate: 9600}, device_id: 6}\n"
    text, _ = replaced(ONE, "\npoints:\n", other + "\npoints:\n")
    assert any("sets /dev/ttyAMA0 otherwise than cabinet" in one.problem for one in findings_of(text))


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "a: 1\n---\nb: 2\n", "site: &x {y: *x}", "\x00", "? [1]\n: 2", "<<: 3"])
def test_what_is_no_site_at_all_is_refused_with_a_line(text: str) -> None:
    found = findings_of(text)
    assert found
    assert all(one.line >= 1 for one in found)


def test_anchors_save_writing(tmp_path: Path) -> None:
    text, _ = replaced(ALL, "limits: {opening_max_pct: 95,", "limits: &limits {opening_max_pct: 95,")
    limits = "limits: {opening_max_pct: 95, deadband_pct: 0.5, min_run_s: 0.5, rest_s: 10, starts_per_hour: 30}"
    text = text.replace(limits, "limits: {<<: *limits, rest_s: 12}")
    path = tmp_path / "site.yaml"
    path.write_text(text)
    site = load_site(path)
    assert [gate.limits.rest_s for gate in site.gates()] == [10.0] + [12.0] * 7
    assert {gate.limits.opening_max_pct for gate in site.gates()} == {95.0}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["check", str(tmp_path / "none.yaml")], never) == 2
    assert "none.yaml: cannot be read" in capsys.readouterr().err
    (tmp_path / "latin.yaml").write_bytes(b"site: \xff")
    with pytest.raises(UsageError, match="is not UTF-8"):
        load_site(tmp_path / "latin.yaml")


CANNOT_BE_TOLD = {"register", "priority"}
"""Whose every value may be meant."""
HARMLESS_WHEN_LARGE = {"max_rate_per_s"}
"""Of flows and states, which nothing protects by their rate."""


def test_a_figure_that_is_a_thousand_times_too_large_is_named_wherever_it_stands() -> None:
    silent = []
    for figure in re.finditer(r"(\w+): (\d+(?:\.\d+)?)(?=[,}\]\s])", ONE):
        key, value = figure[1], float(figure[2])
        if value == 0.0 or key in CANNOT_BE_TOLD:
            continue
        wrong = f"{value * 1000:.3f}" if "." in figure[2] else str(int(value) * 1000)
        if not findings_of(ONE[: figure.start(2)] + wrong + ONE[figure.end(2) :]):
            silent.append((key, ONE[: figure.start()].count("\n") + 1))
    assert {key for key, _ in silent} <= HARMLESS_WHEN_LARGE, silent


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("delay_s: 338", "delay_s: 338000", "is slower than any wave"),
        ("area_m2: 821", "area_m2: 821000000", "is a width of"),
        ("    bank_m: 23.500", "    bank_m: 2350.0", "m deep"),
        ("per_hour_m: 0.15", "per_hour_m: 0.00015", "seen in steps of"),
        ("per_day_m: 0.30", "per_day_m: 0.10", "is less than per_hour_m 0.15"),
        ("resonance_period_s: 87", "resonance_period_s: 87000", "a resonance of 87000 s"),
        ("resonance_peak_s_per_m2: 0.136", "resonance_peak_s_per_m2: 136", "a resonance peak of 136"),
        ("nominal_flow_m3s: 0.1", "nominal_flow_m3s: 100", "offtake t1 takes 100 m3/s"),
        ("valid_max: 2.64", "valid_max: 2640", "flow g3.flow is believed from -0.1 to 2640 m3/s"),
        ("scale: 0.1}", "scale: 0.001}", "the register can say 0 to 65.535"),
        ("scale: 0.1}", "scale: 10}", "the gate could be sent to a few places only"),
        ("max_rate_per_s: 5.0", "max_rate_per_s: 0.8", "and the gate moves 0.833 in a second"),
        ("stroke_time_s: 120", "stroke_time_s: 120000", "and the gate moves"),
        ("    scale: 0.001\n", "    scale: 1.0\n", "more than resolution 0.001"),
        ("    scale: 0.001\n", "    scale: 0.00001\n", "the register reaches 0.65535 mA"),
        ("high: 3.0}", "high: 3000}", "less than a twentieth of the current loop's"),
        ("max_rate_per_s: 0.05", "max_rate_per_s: 50", "max_rate_per_s 50 of a level"),
        ("valid_min: 25.800", "valid_min: 0.0", "a level is believed from 0 to 27.5 m"),
        ("valid_max: 1, max_rate", "valid_max: 0.001, max_rate", "a state is believed from 0 to 0.001"),
        ("stale_after_s: 300", "stale_after_s: 300000", "a value of hours ago"),
        ("reset: 26.830", "reset: 0.83", "reset 0.83 lies outside the valid range of p1.tail"),
        ("drive_to, opening_pct: 95", "drive_to, opening_pct: 0.95", "high water above the gate (pool p1) drives it to 0.95 %"),
        ("timeout_s: 0.5", "timeout_s: 0.0005", "nothing answers so fast"),
        ("after_s: 1800", "after_s: 1.8", "is less than two scans"),
    ],
)
def test_a_unit_that_does_not_fit_is_named(right: str, wrong: str, said: str) -> None:
    text, _ = replaced(ONE, right, wrong)
    assert any(said in f"{one.problem}; {one.reason}" for one in findings_of(text)), [str(one) for one in findings_of(text)]


words = st.sampled_from(["{", "}", "[", "]", ":", "-", "\n", "  ", "*a", "&a", "<<", "'", "#", "1", "x", "!!int", "null", ",", "|", "?"])


@settings(max_examples=60)
@given(st.integers(0, len(ONE) - 1), st.integers(0, 40), st.lists(words, max_size=6))
def test_whatever_is_typed_into_a_site_is_good_or_named_and_never_a_crash(start: int, length: int, typed: list[str]) -> None:
    text = ONE[:start] + "".join(typed) + ONE[start + length :]
    for one in findings_of(text):
        assert one.line >= 1
        assert one.problem
        assert one.remedy


@settings(max_examples=60)
@given(st.data())
def test_any_figure_in_any_place_is_judged_and_never_a_crash(data: st.DataObject) -> None:
    places = [index for index, line in enumerate(ONE.splitlines()) if line.rstrip().split(" ")[-1].replace(".", "").isdigit()]
    lines = ONE.splitlines()
    place = data.draw(st.sampled_from(places))
    figure = data.draw(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**6), 10**6))
    lines[place] = f"{lines[place].rsplit(' ', 1)[0]} {figure!r}"
    for one in findings_of("\n".join(lines)):
        assert one.line >= 1
