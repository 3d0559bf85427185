"""What a path stands for, and how plainly a wrong one is refused."""

from pathlib import Path

import pytest

from central.render.sources import read_source
from shared.contracts.limits import MAX_CONTENT_BYTES
from shared.errors import UsageError

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n"


def names(path: Path) -> list[str]:
    return [item.content["metadata"]["name"] for item in read_source(path).objects]


def test_a_file_of_several_documents_keeps_their_order_and_passes_empty_ones_over(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("---\n" + MAP.format(name="two") + "---\n# nothing\n---\n" + MAP.format(name="one"))
    assert names(file) == ["two", "one"]


def test_a_folder_is_read_by_file_name_without_its_subfolders(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(MAP.format(name="b"))
    (tmp_path / "a.json").write_text('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}')
    (tmp_path / "notes.txt").write_text("no object")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "c.yaml").write_text(MAP.format(name="c"))
    assert names(tmp_path) == ["a", "b"]


def test_a_list_is_taken_apart_and_each_part_knows_its_place(tmp_path: Path) -> None:
    file = tmp_path / "l.yaml"
    file.write_text(
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: one}}\n"
        "- {apiVersion: v1, kind: ConfigMap, metadata: {name: two}}\n"
    )
    source = read_source(file)
    assert names(file) == ["one", "two"]
    assert source.objects[1].place.endswith("l.yaml:1 items[1]")


def test_a_kustomization_is_built_by_the_real_kubectl(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [m.yaml]\nnamePrefix: north-\n")
    (tmp_path / "m.yaml").write_text(MAP.format(name="m"))
    assert names(tmp_path) == ["north-m"]


def test_a_broken_kustomization_says_what_kustomize_said(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [missing.yaml]\n")
    with pytest.raises(UsageError, match=r"kustomize failed: .*missing\.yaml"):
        read_source(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "holds no objects"),
        (b"# only a comment\n", "holds no objects"),
        (b"a: [1\n", r"m\.yaml:2: is not valid YAML"),
        (b"just words\n", "is a str, not an object"),
        (b"- a\n- b\n", "is a list, not an object"),
        (b"\xff\xfe\x00", "not UTF-8|not valid YAML"),
    ],
)
def test_a_file_without_objects_is_refused_with_its_place(content: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=reason):
        read_source(file)


def test_a_folder_without_yaml_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no \.yaml"):
        read_source(tmp_path)
    with pytest.raises(UsageError, match="No such file"):
        read_source(tmp_path / "missing.yaml")


def test_a_bundle_of_100_mb_is_refused_with_the_limit_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    with file.open("wb") as handle:
        handle.truncate(100 * 2**20)
    with pytest.raises(UsageError, match=rf"limit is {MAX_CONTENT_BYTES} \(16 MiB\)"):
        read_source(file)


def test_what_kustomize_makes_of_a_few_lines_is_limited_too(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    (tmp_path / "large.txt").write_text("x" * MAX_CONTENT_BYTES)
    (tmp_path / "kustomization.yaml").write_text("configMapGenerator: [{name: large, files: [large.txt]}]\nresources: [m.yaml]\n")
    with pytest.raises(UsageError, match=r"the limit is .*MiB"):
        read_source(tmp_path)
