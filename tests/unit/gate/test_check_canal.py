"""`munbon-gate check a.yaml b.yaml ...`: what only several sites together show."""

import json
from pathlib import Path

import pytest

from deploy.examples.canals import example_sites
from edge_agent.gate_control.check.canal import check_canal
from edge_agent.gate_control.check.finding import Finding
from edge_agent.gate_control.check.notes import notes_of
from edge_agent.gate_control.check.site_file import SiteFile
from edge_agent.gate_control.check.yaml_site import parse_site
from edge_agent.gate_control.console.cli import run_command

EXAMPLES = Path(__file__).parents[3] / "deploy" / "examples"
SITES = {number: example_sites()[f"canal-8-sites/{number}/site.yaml"] for number in range(1, 9)}
UPSTREAM_LOOP = "    upstream_loop: {kp_m2_per_s: 1.0, ti_s: 4000, filter_s: 60, control_period_s: 10}\n"
LEVEL = "  - id: p2.tail\n    remote: canal-3\n    device: canal-3\n    register: 1000 "


def never(*_arguments: object) -> int:
    raise AssertionError("check must not run the gate")


def site_file(number: int, text: str) -> SiteFile:
    return SiteFile(f"{number}.yaml", *parse_site(text, source=f"{number}.yaml"))


def findings_of(texts: dict[int, str]) -> dict[int, tuple[Finding, ...]]:
    return dict(zip(texts, check_canal([site_file(number, text) for number, text in texts.items()]), strict=True))


def changed(number: int, right: str, wrong: str) -> dict[int, str]:
    """The eight sites with one change in one of them."""
    assert SITES[number].count(right) >= 1, right
    return {**SITES, number: SITES[number].replace(right, wrong, 1)}


def in_pool(number: int, pool: str, right: str, wrong: str) -> dict[int, str]:
    start = SITES[number].index(f"  - id: {pool}\n    ", SITES[number].index("\npools:\n"))
    head, tail = SITES[number][:start], SITES[number][start:]
    assert right in tail
    return {**SITES, number: head + tail.replace(right, wrong, 1)}


def test_the_shipped_canal_of_eight_sites_is_good_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["check", str(EXAMPLES / "canal-8-sites")], never) == 0
    told = capsys.readouterr()
    assert "8 sites together: no mistakes" in told.err
    assert told.out.count(": good") == 8


def test_files_and_patterns_name_the_same_sites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (2, 3):
        (tmp_path / f"{number}.yaml").write_text(SITES[number])
    named = [[str(tmp_path / "2.yaml"), str(tmp_path / "3.yaml")], [str(tmp_path / "*.yaml")], [str(tmp_path)], [str(tmp_path)] * 2]
    said = []
    for arguments in named:
        assert run_command(["check", *arguments], never) == 2, "canal-4 is missing"
        said.append(capsys.readouterr())
    assert all(one == said[0] for one in said)
    assert f"{tmp_path / '3.yaml'}:" in said[0].err
    assert "no file is of a site 'canal-4'" in said[0].err


# site with the change, what stood there, what was written, what is said of it; the site that it is said of, where it is another one
BETWEEN: list[tuple[int, str, str, str, int]] = [
    # owners and ways
    (
        2,
        "remote: canal-3\n    device: canal-3\n    register: 1000",
        "remote: canal-9\n    device: canal-3\n    register: 1000",
        "site 'canal-9'",
        2,
    ),
    (3, "modbus_map: {host: 0.0.0.0, allow: [192.0.2.22]}\n", "", "site canal-3, which owns p2.tail, has no modbus_map", 2),
    (3, "allow: [192.0.2.22]", "allow: [192.0.2.99]", "allows 192.0.2.99, and not 192.0.2.22, where canal-2 is", 2),
    (3, "allow: [192.0.2.22]", "allow: []", "the map of canal-3 allows nobody", 2),
    (3, "host: 0.0.0.0", "host: 127.0.0.1", "listens on 127.0.0.1, for its own machine alone", 2),
    (3, "host: 0.0.0.0", "host: 192.0.2.77", "listens on 192.0.2.77, and is sought at 192.0.2.23", 2),
    (3, "host: 0.0.0.0", "port: 1600, host: 0.0.0.0", "port 1502, and the map of canal-3 is at port 1600", 2),
    (2, "host: 192.0.2.23, port: 1502", "host: 192.0.2.24, port: 1502", "canal-4 is sought at 192.0.2.24:1502", 3),
    (
        2,
        "link: {kind: modbus_tcp, host: 192.0.2.23, port: 1502}",
        "link: {kind: modbus_rtu, path: /dev/ttyUSB0}",
        "stands for site canal-3 on a serial line",
        2,
    ),
    (3, "site: canal-3", "site: canal-4", "canal-4 (3.yaml:6) has the same name", 4),
    # what the register shows
    (2, LEVEL, LEVEL.replace("1000", "1001"), "no value of canal-3 begins at register 1001", 2),
    (2, LEVEL, LEVEL.replace("1000", "1008"), "shows p3.head, and not p2.tail", 2),
    (2, LEVEL, LEVEL.replace("1000", "1016"), "shows g3.position in pct, and p2.tail is in m", 2),
    (2, LEVEL, LEVEL.replace("1000", "4000"), "is the tail of pool p2 here; for canal-3 that register is the head of p2", 2),
    (2, LEVEL, LEVEL.replace("1000", "5000"), "shows g3 in m3s, and p2.tail is in m", 2),
    (2, "counter_register: 1004\n    type: float32", "counter_register: 1004\n    type: int16", "is float32, and is read as int16", 2),
    (2, "counter_register: 1004\n", "counter_register: 1004\n    word_order: little\n", "canal-3 shows its values in word_order big", 2),
    (2, "counter_register: 1004\n", "counter_register: 1004\n    byte_order: little\n", "canal-3 shows its values in byte_order big", 2),
    (2, "counter_register: 1004\n", "counter_register: 1004\n    scale: 0.01\n", "scale 0.01, where canal-3 shows the value itself", 2),
    (2, "counter_register: 5004\n", "counter_register: 5004\n    offset: 0.1\n", "offset 0.1 of a value in m3s", 2),
    (2, "counter_register: 1004\n", "counter_register: 1004\n    current_loop: {low: 0, high: 3}\n", "canal-3 shows no current", 2),
    (3, "  - id: p2.tail\n", "  - id: p2.tail\n    remote: canal-1\n", "p2.tail is not canal-3's own: it reads it from canal-1", 2),
    (2, "age_register: 1003", "age_register: 1011", "age_register 1011, where canal-3 has that of p2.tail at 1003", 2),
    (2, "counter_register: 1004", "counter_register: 1012", "counter_register 1012, where canal-3 has that of p2.tail at 1004", 2),
    (2, "    age_register: 1003\n    counter_register: 1004\n", "", "nothing tells the age of p2.tail", 2),
    (2, "valid_max: 24.100", "valid_max: 24.500", "valid_max 24.5, where canal-3 believes p2.tail to 24.1", 2),
    (3, "max_rate_per_s: 0.05", "max_rate_per_s: 0.5", "max_rate_per_s 0.05 is less than the 0.5 of canal-3", 2),
    (3, "    max_rate_per_s: 0.05\n", "    max_rate_per_s: 0.05\n    resolution: 0.002\n", "finer than the 0.002 of the sensor itself", 2),
]  # fmt: skip


@pytest.mark.parametrize(("number", "right", "wrong", "said", "told"), BETWEEN)
def test_a_mistake_between_two_sites_is_named_with_file_and_line(number: int, right: str, wrong: str, said: str, told: int) -> None:
    found = findings_of(changed(number, right, wrong))
    named = [one for one in found[told] if said in one.problem]
    assert named, found
    assert named[0].line > 1
    assert named[0].reason
    assert named[0].remedy


def test_two_integrators_on_a_pool_between_two_sites_are_refused_in_any_combination() -> None:
    # g2 holds the far end of p2 from canal-2; g3, which ends p2, gets a loop on it at canal-3: by plan, or as a fallback alone
    both = changed(3, "  - id: g3\n", "  - id: g3\n" + UPSTREAM_LOOP)
    as_fallback = "fallback: {kind: level, level_point: p2.tail, level_m: 23.3}"
    by_fallback = {**both, 3: both[3].replace("fallback: {kind: hold, after_s: 1800}", as_fallback, 1)}
    for texts in (both, by_fallback):
        (named,) = [one for one in findings_of(texts)[3] if "holds pool p2" in one.problem]
        assert "g3 upstream_loop holds pool p2, and so does g2 downstream_loop of canal-2 (2.yaml:" in named.problem
        assert named.line == texts[3][: texts[3].index("upstream_loop")].count("\n") + 1


def test_two_integrators_are_found_where_the_two_sites_call_their_pool_by_two_names() -> None:
    text = changed(3, "  - id: g3\n", "  - id: g3\n" + UPSTREAM_LOOP)[3].replace("  - id: p2\n", "  - id: upper\n")
    (named,) = [one for one in findings_of({**SITES, 3: text})[3] if "two integrators" in one.reason]
    assert "holds pool upper, and so does g2 downstream_loop of canal-2" in named.problem


def test_two_integrators_are_found_where_both_sites_read_the_very_same_sensor() -> None:
    # canal-2 asks the gauge at gate 3 itself, and calls the pool otherwise
    gauge = "  - {id: gauge, link: {kind: modbus_tcp, host: 192.0.2.103}, device_id: 2}\n"
    start = SITES[2].index("  - id: p2.tail\n")
    own = (
        "  - {id: p2.tail, device: gauge, register: 0, scale: 0.001, current_loop: {low: 0.0, high: 3.0}, offset: 22.4,\n"
        "     valid_min: 22.4, valid_max: 24.1, max_rate_per_s: 0.05}\n"
    )
    text = SITES[2][:start] + own + SITES[2][SITES[2].index("  - id: g3.flow\n") :]
    text = text.replace("\npoints:\n", f"{gauge}\npoints:\n", 1).replace("  - id: p2\n", "  - id: below\n")
    both = changed(3, "  - id: g3\n", "  - id: g3\n" + UPSTREAM_LOOP)
    said = [one.problem for one in findings_of({**both, 2: text})[3]]
    assert any("g3 upstream_loop holds pool p2, and so does g2 downstream_loop of canal-2" in problem for problem in said), said


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("invert_m: 22.400", "invert_m: 22.350", "invert_m of pool p2 is 22.35, and 22.4 at canal-2 (2.yaml:"),
        ("bank_m: 23.500", "bank_m: 23.550", "bank_m of pool p2"),
        ("level_max_m: 23.400", "level_max_m: 23.390", "level_max_m of pool p2"),
        ("target_depth_m: 0.9", "target_depth_m: 0.8", "target_depth_m of pool p2"),
        ("delay_s: 426", "delay_s: 400", "low.delay_s of pool p2 is 400, and 426"),
        ("area_m2: 574", "area_m2: 600", "high.area_m2 of pool p2"),
        ("length_m: 1200", "length_m: 1300", "length_m of pool p2"),
        ("per_hour_m: 0.15", "per_hour_m: 0.10", "drawdown.per_hour_m of pool p2"),
        ("nominal_flow_m3s: 0.1", "nominal_flow_m3s: 0.2", "offtakes of pool p2 are t2 (0.2 m3/s), and t2 (0.1 m3/s)"),
        ("id: t2", "id: t20", "offtakes of pool p2 are t20"),
    ],
)
def test_a_pool_that_two_sites_give_otherwise_is_told(right: str, wrong: str, said: str) -> None:
    texts = in_pool(3, "p2", right, wrong)
    named = [one for one in findings_of(texts)[3] if said in one.problem]
    assert named, findings_of(texts)
    assert wrong.split(":")[0] in texts[3].splitlines()[named[0].line - 1] or said.startswith("offtakes")


def test_a_site_with_another_datum_reads_the_same_pool_by_an_offset() -> None:
    # canal-2 counts from 20 m higher: its own figures of p2 are less by 20, and so is the level that it reads
    text = SITES[2]
    for figure in ("22.400", "23.500", "22.850", "23.400"):
        text = text.replace(f": {figure}", f": {float(figure) - 20.0:.3f}")
    text = text.replace("    counter_register: 1004\n", "    counter_register: 1004\n    offset: -20.0\n")
    text = text.replace("valid_max: 24.100", "valid_max: 4.100")
    assert findings_of({**SITES, 2: text})[2] == findings_of({**SITES, 2: text})[3] == ()
    text = text.replace("offset: -20.0", "offset: -19.9")
    assert any("datum" in one.problem and "invert_m of pool p2" in one.problem for one in findings_of({**SITES, 2: text})[3])


def test_a_pool_has_one_gate_at_each_end() -> None:
    feeds = in_pool(3, "p2", "    outlet: g3\n", "    outlet: g3\n    inlet: g3b\n")
    second = feeds[3][feeds[3].index("  - id: g3\n") : feeds[3].index("\ninputs:")]
    second = second.replace("id: g3", "id: g3b").replace("register: 6", "register: 26")
    text = feeds[3].replace("\ninputs:", second + "\ninputs:")
    assert any("g3b feeds pool p2, and so does g2 of canal-2" in one.problem for one in findings_of({**SITES, 3: text})[3])


def test_a_circle_of_pools_over_several_sites_is_refused() -> None:
    # the tail of the last pool ends at the first gate
    text = in_pool(1, "p1", "    inlet: g1\n", "    inlet: g1\n")[1]
    reservoir = text.replace("  - id: reservoir\n", "  - id: p8\n")
    found = findings_of({**SITES, 1: reservoir})
    assert any("lies below itself: p1, p2, p3, p4, p5, p6, p7, p8" in one.problem for ones in found.values() for one in ones)


def test_a_decoupler_must_pass_on_the_flow_at_the_other_end_of_its_pool() -> None:
    text = SITES[2].replace(
        "remote: canal-3\n    device: canal-3\n    register: 5000", "remote: canal-4\n    device: canal-4\n    register: 5000"
    )
    text = text.replace("  - id: g3.flow", "  - id: g4.flow").replace("flow_point: g3.flow", "flow_point: g4.flow")
    device = "  - {id: canal-4, link: {kind: modbus_tcp, host: 192.0.2.24, port: 1502}}\n"
    text = text.replace("\npoints:\n", device + "\npoints:\n")
    found = findings_of({**SITES, 2: text})[2]
    assert any("g4.flow is the flow of g4 of canal-4; pool p2 has g3 of canal-3 at that end" in one.problem for one in found)


def test_decouplers_that_go_round_in_a_circle_are_refused() -> None:
    # g2 follows g3, g3 gets a loop that follows g2
    back = "    upstream_loop: {kp_m2_per_s: 1.0, ti_s: 4000, filter_s: 60, control_period_s: 10, decoupler_flow_point: g2.flow}\n"
    point = (
        "  - id: g2.flow\n    remote: canal-2\n    device: canal-2\n    register: 5000\n    age_register: 5003\n    type: float32\n"
        "    unit: m3s\n    valid_min: -0.1\n    valid_max: 2.5\n    max_rate_per_s: 0.5\n"
    )
    text = SITES[3].replace("  - id: g3\n", "  - id: g3\n" + back, 1).replace("\npools:\n", "@", 1)
    text = text.replace("@", point + "\npools:\n").replace(
        "\npoints:\n", "  - {id: canal-2, link: {kind: modbus_tcp, host: 192.0.2.22, port: 1502}}\n\npoints:\n"
    )
    said = [one.problem for one in findings_of({**SITES, 3: text})[2]]
    assert any("decouplers go round in a circle: g2 of canal-2 -> g3 of canal-3 -> g2 of canal-2" in problem for problem in said), said


def test_a_device_cannot_stand_for_two_sites() -> None:
    texts = changed(
        2, "remote: canal-3\n    device: canal-3\n    register: 5000", "remote: canal-4\n    device: canal-3\n    register: 5000"
    )
    assert any("site canal-4 is sought at 192.0.2.23:1502, where others seek canal-3" in one.problem for one in findings_of(texts)[2])


def test_two_sites_never_write_the_same_register() -> None:
    texts = changed(
        3, "{id: actuator-3, link: {kind: modbus_tcp, host: 192.0.2.103}", "{id: actuator-3, link: {kind: modbus_tcp, host: 192.0.2.102}"
    )
    named = [one for one in findings_of(texts)[3] if "is written for gate g2 of canal-2" in one.problem]
    assert {"register 6", "register 5"} <= {" ".join(one.problem.split()[:2]) for one in named}


def test_a_level_that_passes_through_slow_scans_must_be_borne() -> None:
    quick = {
        **SITES,
        2: SITES[2].replace("kp_m2_per_s: 0.411", "kp_m2_per_s: 0.60").replace("ti_s: 8400", "ti_s: 90000"),
        3: SITES[3].replace("scan_period_s: 1.0", "scan_period_s: 10.0"),
    }
    assert not findings_of(quick)[2]
    low = quick[2].replace("delay_s: 426", "delay_s: 1").replace("delay_s: 338", "delay_s: 1").replace("filter_s: 60", "filter_s: 1")
    low = low.replace("kp_m2_per_s: 0.60", "kp_m2_per_s: 45").replace("control_period_s: 60", "control_period_s: 5")
    assert any("are up to 12 s old when nothing is wrong" in one.problem for one in findings_of({**quick, 2: low})[2])


def test_one_file_alone_says_what_it_cannot_see(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITES[2])
    assert run_command(["check", str(path)], never) == 0
    out = capsys.readouterr().out
    assert "no mistakes, but worth knowing:" in out
    assert "p2.tail, g3.flow: read from site canal-3, whose file is not looked at" in out
    assert "pool p1 has no inlet in this file" in out
    assert run_command(["check", str(path), "-o", "json"], never) == 0
    assert len(json.loads(capsys.readouterr().out)["notes"]) == 2


def test_an_allow_list_that_nobody_can_judge_is_told_and_is_no_mistake() -> None:
    files = [site_file(number, text) for number, text in SITES.items()]
    notes = dict(zip(SITES, notes_of(files), strict=True))
    assert ["whether canal-2 lets this site in" in one.problem for one in notes[1]] == [True]
    assert not any(notes[number] for number in range(2, 9))


def test_sites_are_not_compared_before_each_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "2.yaml").write_text(SITES[2])
    (tmp_path / "3.yaml").write_text(SITES[3].replace("site: canal-3", "sight: canal-3"))
    assert run_command(["check", str(tmp_path), str(tmp_path / "none.yaml")], never) == 2
    err = capsys.readouterr().err
    assert "did you mean 'site'?" in err
    assert "none.yaml:1: site: cannot be read" in err
    assert "3 sites, not compared with each other" in err
    assert "no file is of a site" not in err


def test_several_sites_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["check", str(EXAMPLES / "canal-8-sites"), "-o", "json"], never) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["good"] is True
    assert [len(one["loops"]) for one in listed["files"]] == [1] * 8


def test_a_folder_without_a_site_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["check", str(tmp_path)], never) == 2
    assert "holds no site.yaml" in capsys.readouterr().err
