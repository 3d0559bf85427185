"""What the machine lacks is said with the reason and the line that changes it; a lack of what is required stops the run."""

from pathlib import Path

import pytest

from deploy.make import capabilities
from deploy.make.capabilities import Lack
from tests import conftest


def put_program(folder: Path, name: str, says: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("version", "lacking"), [("go1.25.9", True), ("devel", True), ("go1.26", False), ("go1.30.2", False), ("go2.0", False)]
)
def test_go_counts_from_1_26_on(version: str, lacking: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_program(tmp_path, "go", version)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    lack = capabilities.go_lack()
    assert (lack is not None) is lacking
    if lack:
        assert version in lack.missing
        assert "1.26" in lack.remedy


def test_each_lack_is_one_line_with_reason_and_remedy() -> None:
    lines = capabilities.describe({"postgres": Lack("no server", "as root: apt install it")})
    assert lines == ["skipped here: central on PostgreSQL: no server. To change it: as root: apt install it"]


def test_every_marker_with_a_need_is_declared_to_pytest(request: pytest.FixtureRequest) -> None:
    declared = {line.split(":")[0] for line in request.config.getini("markers")}
    assert set(capabilities.NEEDS) <= declared


def test_a_test_whose_need_is_lacking_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "lacks", lambda: {"postgres": Lack("no server", "install it")})
    monkeypatch.setattr(conftest, "REQUIRED", frozenset())
    marked, plain = FakeItem("postgres"), FakeItem("nats")
    conftest.pytest_collection_modifyitems([marked, plain])  # type: ignore[list-item]  # only marks are asked for
    assert [mark.kwargs["reason"] for mark in marked.added] == ["no server; install it"]
    assert plain.added == []


def test_where_a_need_is_required_its_lack_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "lacks", lambda: {"postgres": Lack("no server", "install it")})
    monkeypatch.setattr(conftest, "REQUIRED", frozenset({"postgres"}))
    with pytest.raises(pytest.UsageError, match="no server"):
        conftest.pytest_collection_modifyitems([FakeItem("postgres")])  # type: ignore[list-item]  # only marks are asked for
    conftest.pytest_collection_modifyitems([FakeItem("nats")])  # type: ignore[list-item]  # nothing selected needs it


class FakeItem:
    """The part of a pytest item that the hook asks for."""

    def __init__(self, marker: str) -> None:
        self.mark = getattr(pytest.mark, marker).mark
        self.added: list[pytest.Mark] = []

    def iter_markers(self) -> list[pytest.Mark]:
        return [self.mark]

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return self.mark if self.mark.name == name else None

    def add_marker(self, marker: pytest.MarkDecorator) -> None:
        self.added.append(marker.mark)
