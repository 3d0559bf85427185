"""YAML is read as kubectl reads it: each case is put to the real kubectl and to ours, and both must say the same.

`kubectl label --local -o json` parses exactly as `create` and `apply` do and needs no server; tests/integration/kube puts whole
files to `kubectl create --dry-run=client`.
"""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.render.sources import kubectl_path
from central.render.yaml_reader import read_documents
from shared.errors import UsageError
from shared.signing.digests import canonical_json

WORDS = """
2001-01-01 2001-12-14T21:59:43.10-05:00 2001-12-14 22:22 190:20:30 1:2 yes Yes YES yEs y Y no n N on On ON off OFF true True TRUE false
~ null Null NULL nULL 0777 0o777 0O7 08 089 0o8 0x1F 0X1f 0xg 0b101 0b2 -0b11 -0x10 1_000 1__0 _1 1_ 1.5 1e3 1e+3 1.e+3 1E-3 .5 5. 1_0.5 +12
+1.5 +.5 -.5 + . .. 1.2.3 1.10 12e03 -0 -0.0 0.0 1.0 100000000000000000000.0 1e21 9007199254740991 = 10% a:b !x @ 0 00 -7 +0
1e400a e3 0x 1,000 .inf0 inf nan Infinity
""".replace(" !x @ ", " ").split()


def as_kubectl(text: str, folder: Path) -> object:
    file = folder / "object.yaml"
    file.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [kubectl_path(), "label", "--local", "-f", str(file), "munbon-test=1", "-o", "json"], capture_output=True, check=False, text=True
    )
    if done.returncode != 0:
        return None
    content = json.loads(done.stdout, parse_int=lambda digits: int(digits) if abs(int(digits)) < 2**53 else float(digits))
    del content["metadata"]["labels"]
    return content


def as_ours(text: str) -> object:
    (document,) = read_documents(text, source="x")
    return document.content


def config_map(lines: list[str]) -> str:
    return "\n".join(["apiVersion: v1", "kind: ConfigMap", "metadata:", "  name: a", "data:", *("  " + line for line in lines), ""])


def same(ours: object, theirs: object) -> bool:
    return canonical_json(ours) == canonical_json(theirs)


def test_plain_words_are_read_alike(tmp_path: Path) -> None:
    text = config_map([f"k{number}: {word}" for number, word in enumerate(WORDS)])
    ours, theirs = as_ours(text), as_kubectl(text, tmp_path)
    assert isinstance(ours, dict)
    assert isinstance(theirs, dict)
    differing = {
        word: (ours["data"][f"k{n}"], theirs["data"][f"k{n}"])
        for n, word in enumerate(WORDS)
        if not same(ours["data"][f"k{n}"], theirs["data"][f"k{n}"])
    }
    assert differing == {}


@pytest.mark.parametrize(
    "lines",
    [
        ["a: 1", "a: 2"],
        ["on: x", "true: y"],
        ["1: one", "1.5: half", "0x10: hex", "2001-01-01: day", "22:22: time", "'yes': quoted"],
        ["a: !!binary aGVsbG8=", "b: !!str 123", 'c: !!int "7"', "d: !!float 3"],
        ["a: |", "  two", "  lines", "b: >-", "  folded", "  text"],
        ["a: 'it''s'", 'b: "tab\\tnew\\n\\u00e9"'],
        ["base: &b {x: 1, y: 2}", "more: {<<: *b, y: 3}", "list: {<<: [*b, {z: 9}]}"],
        ["a: &x [1, 2]", "b: *x"],
        ["a: # nothing", "b: ''"],
        ["a: {}", "b: []", "c: [yes, 22:22, 0777]"],
    ],
)
def test_whole_files_are_read_alike(lines: list[str], tmp_path: Path) -> None:
    text = config_map(lines)
    theirs = as_kubectl(text, tmp_path)
    assert theirs is not None
    assert same(as_ours(text), theirs)


@pytest.mark.parametrize("line", ["a: .inf", "a: -.inf", "a: .nan", "a: [1", "a: *nothing", "\ta: b", "a: b: c", "? [x, y] : z"])
def test_what_kubectl_refuses_is_refused_with_place(line: str, tmp_path: Path) -> None:
    text = config_map([line])
    assert as_kubectl(text, tmp_path) is None
    with pytest.raises(UsageError, match=r"f\.yaml"):
        list(read_documents(text, source="f.yaml"))


def test_a_key_that_stands_twice_is_told() -> None:
    (document,) = read_documents(config_map(["a: 1", "a: 2"]), source="f.yaml")
    assert document.warnings == ("f.yaml:7: key 'a' stands twice; the last one counts, as in kubectl",)


def test_a_few_lines_that_stand_for_gigabytes_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 9)]
    with pytest.raises(UsageError, match="the limit"):
        list(read_documents(config_map(lines), source="bomb.yaml"))


def test_a_value_that_contains_itself_is_refused() -> None:
    with pytest.raises(UsageError, match="contains itself"):
        list(read_documents("a: &x [*x]\n", source="loop.yaml"))


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        for document in read_documents(text, source="f"):
            json.dumps(document.content, allow_nan=False)
    except UsageError as error:
        assert str(error).startswith("f")  # noqa: PT017 - either outcome is right
