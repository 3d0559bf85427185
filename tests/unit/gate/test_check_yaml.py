"""`munbon-gate check` on files that are no sites, or hardly: every one is refused in words, with its line, and never by a traceback."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.examples.canals import example_sites
from edge_agent.gate_control.check.canal import check_canal
from edge_agent.gate_control.check.finding import Finding, SiteInvalid
from edge_agent.gate_control.check.loop_rules import placed_loops
from edge_agent.gate_control.check.notes import notes_of
from edge_agent.gate_control.check.site_file import SiteFile
from edge_agent.gate_control.check.site_rules import check_site
from edge_agent.gate_control.check.yaml_site import MAX_BYTES, parse_site
from edge_agent.gate_control.console import site_report
from edge_agent.gate_control.console.cli import run_command

ONE = example_sites()["canal-8-sites/2/site.yaml"]
NEXT = example_sites()["canal-8-sites/3/site.yaml"]
ALL = example_sites()["canal-8-pools/site.yaml"]


def never(*_arguments: object) -> int:
    raise AssertionError("check must not run the gate")


def findings_of(text: str) -> tuple[Finding, ...]:
    try:
        site, lines = parse_site(text, source="site.yaml")
    except SiteInvalid as error:
        return error.findings
    return check_site(site, lines)


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


ODD: dict[str, tuple[str, str]] = {
    "a tab": (ONE.replace("    register: 3", "\tregister: 3", 1), "indent with spaces, not with tabs"),
    "a tab before a list": (ONE.replace("  - {id: actuator-2", "\t- {id: actuator-2", 1), "indent with spaces, not with tabs"),
    "a float beyond all floats": (ONE.replace("scan_period_s: 1.0", "scan_period_s: 1e400"), "must be a finite number"),
    "a whole number beyond all floats": (ONE.replace("register: 3 ", "register: 1e400 "), "must be a valid integer"),
    "five thousand digits": (ONE.replace("register: 3 ", f"register: {'9' * 5000} "), "has 5000 digits"),
    "five thousand hexadecimal digits": (ONE.replace("register: 3 ", f"register: 0x{'f' * 5000} "), "has 5002 digits"),
    "a comma in a number": (ONE.replace("delay_s: 338", "delay_s: 338,5"), "decimals have a point, not a comma"),
    "a unit behind a number": (ONE.replace("width_m: 1.5", "width_m: 1.5 m"), "write a plain number, without quotes or unit"),
    "three thousand brackets": (f"site: {'[' * 3000}{']' * 3000}", "nested more than 40 deep"),
    "three thousand braces": (f"site: {'{a: ' * 3000}{'}' * 3000}", "nested more than 40 deep"),
    "brackets that end nowhere": ("[" * 400_000, "nested more than 40 deep"),
    "five thousand dashes": ("- " * 5000 + "a", "nested more than 40 deep"),
    "a chain of anchors": ("a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 20_000)), "stands for too much"),
    "a bomb of anchors": (
        "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
        "stands for too much",
    ),
    "a list that holds itself": ("site: &a [*a]", "contains itself"),
    "a mapping that is merged into itself": ("&a {<<: *a}", "contains itself"),
    "an anchor of nothing": ("site: *x", "undefined alias"),
    "two documents": (f"{ONE}\n---\n{ONE}", "another document"),
    "half a character": (ONE.replace("site: canal-2", 'site: "\\uD800"'), "is not valid YAML"),
    "a bell": (ONE.replace("site: canal-2", "site: canal\x07"), "unacceptable character"),
    "no text at all": ("", "the file holds no keys"),
    "a comment": ("# later\n", "the file holds no keys"),
    "a list key": ("? [a]\n: 1\n", "a key is no plain word"),
    "a program": ('site: !!python/object/apply:os.system ["true"]', "devices is missing"),
    "a key by its other name": (ONE.replace("stroke_time_s: 120", "stroketime_s: 120"), "did you mean 'stroke_time_s'?"),
    "an id with a space": (ONE.replace("id: p2.head", "id: p2 head"), "'p2 head': must match pattern"),
    "an id with a slash": (ONE.replace("id: p2.head", "id: p2/head"), "'p2/head': must match pattern"),
    "a name that is a number": (ONE.replace("site: canal-2", "site: 2"), "2: must be a valid string"),
    "a list where a mapping belongs": (
        ONE.replace("drawdown: {per_hour_m: 0.15, per_day_m: 0.30}", "drawdown: [1, 2]"),
        "must be an object",
    ),
    "nothing where a list belongs": (ONE.replace("points:\n", "points:\nothers:\n", 1), "None: must be a valid array"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_text_is_refused_in_words(name: str) -> None:
    text, said = ODD[name]
    found = findings_of(text)
    assert any(said in str(one) for one in found), [str(one) for one in found][:5]
    assert all(one.line >= 1 and one.reason and one.remedy for one in found)


def test_what_editors_of_other_systems_write_is_read_all_the_same() -> None:
    assert findings_of("\ufeff" + ONE) == ()
    assert findings_of(ONE.replace("\n", "\r\n")) == ()
    assert findings_of(ONE.replace("register: 3 ", "register: 0x3 ")) == ()


def test_files_that_are_none_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "binary.yaml").write_bytes(os.urandom(4096) + b"\xff\xfe")
    (tmp_path / "utf16.yaml").write_bytes(ONE.encode("utf-16"))
    (tmp_path / "large.yaml").write_bytes(b"a: 1\n" * (MAX_BYTES // 5 + 1))
    (tmp_path / "empty.yaml").touch()
    for name, said in {
        "binary.yaml": "is not UTF-8 text",
        "utf16.yaml": "is not UTF-8 text",
        "large.yaml": "is larger than 1000000 bytes",
        "empty.yaml": "the file holds no keys",
        "none.yaml": "cannot be read: No such file",
        f"{'a' * 300}.yaml": "cannot be read: File name too long",
        "empty.yaml/site.yaml": "cannot be read: Not a directory",
        "/dev/zero": "is larger than 1000000 bytes",
    }.items():
        assert run_command(["check", str(tmp_path / name)], never) == 2
        assert said in capsys.readouterr().err


def test_a_flood_of_mistakes_is_cut_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("site: a\n" + "".join(f"k{number}: 1\n" for number in range(2000)))
    assert run_command(["check", str(path)], never) == 2
    err = capsys.readouterr().err
    assert err.count("is not known") < 2 * site_report.MOST_SHOWN
    assert "more; '-o json' has all" in err
    assert "2004 mistakes" in err


SCALARS = [
    *("-1", "0", "0.0", "-0", "1", "1.0", "1e-12", "1e-300", "1e12", "1e300", "1e400", "-1e400", ".nan", ".inf", "NaN"),
    *("65535", "65536", "4294967296", "99999999999999999999", "0x10", "010", "1_0", "12:30", "1,5", "5%"),
    *("null", "~", "true", "false", "yes", "", "''", '"1"', "x", "[]", "{}", "[1]", "{a: 1}", "[[]]", "!!int", "&a", "*a"),
    *("g2", "p2.tail", "canal-3", "input", "holding", "bit", "float32", "position", "level", "drive_to"),
]


def mutated(text: str, data: st.DataObject) -> str:
    """The text with up to four random edits: values exchanged, lines lost, doubled, moved, pushed in, words exchanged."""
    lines = text.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        edit = data.draw(st.sampled_from(["value", "value", "value", "drop", "double", "swap", "indent", "graft", "inner", "inner"]))
        line = lines[index]
        if edit == "value" and ":" in line:
            lines[index] = f"{line.rpartition(':')[0]}: {data.draw(st.sampled_from(SCALARS))}"
        elif edit == "inner" and "{" in line and ":" in line:
            parts = line.split(", ")
            part = data.draw(st.integers(0, len(parts) - 1))
            end = "}" if parts[part].endswith("}") else ""
            parts[part] = f"{parts[part].rpartition(':')[0]}: {data.draw(st.sampled_from(SCALARS))}{end}"
            lines[index] = ", ".join(parts)
        elif edit == "drop":
            del lines[index : index + data.draw(st.integers(1, 8))]
            lines = lines or [""]
        elif edit == "double":
            lines[index:index] = lines[index : index + data.draw(st.integers(1, 12))]
        elif edit == "swap":
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[index], lines[other] = lines[other], lines[index]
        elif edit == "indent":
            lines[index] = f"{' ' * data.draw(st.integers(0, 8))}{line.lstrip()}"
        else:
            lines[index] = line[: data.draw(st.integers(0, len(line)))] + data.draw(st.text(max_size=6))
    return "\n".join(lines) + "\n"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_whatever_becomes_of_a_site_it_is_judged_and_never_a_crash(data: st.DataObject) -> None:
    text = mutated(data.draw(st.sampled_from([ONE, ALL])), data)
    try:
        site, lines = parse_site(text, source="site.yaml")
    except SiteInvalid as error:
        refused, found = True, error.findings
    else:
        refused, found = False, check_site(site, lines)
    assert all(one.line >= 1 and one.problem and one.reason and one.remedy for one in found)
    if refused:
        return
    files = [SiteFile("site.yaml", site, lines), SiteFile("next.yaml", *parse_site(NEXT, source="next.yaml"))]
    for one in (*(item for ones in check_canal(files) for item in ones), *(item for ones in notes_of(files[:1]) for item in ones)):
        assert one.line >= 1
    if not found:
        # what is good has loops with figures that people can be shown
        assert site_report.loops_text([site_report.loop_row(placed, placed.loop) for placed in placed_loops(site)])
