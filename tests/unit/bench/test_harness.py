"""The bench harness: every figure is kept, every failure is said."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.bench import harness, machine, report
from tests.bench.result import NotHere, Result


def bench(module: str, *names: str, error: Exception | None = None, gives: tuple[str, ...] | None = None) -> harness.Bench:
    async def run(wanted: frozenset[str]) -> list[Result]:
        await asyncio.sleep(0)
        if error:
            raise error
        return [Result(name, 1.5, "s", "lower", {"goal": 2}) for name in (wanted if gives is None else gives)]

    return harness.Bench(module, names, run)


def test_a_failing_bench_does_not_cost_the_others_their_figures() -> None:
    chosen = harness.choose([bench("a", "x_s", error=OSError("no disk")), bench("b", "y_s")], [])
    outcome = harness.run_all(chosen)
    assert [result.name for result in outcome.results] == ["y_s"]
    assert outcome.failed == {"x_s": "OSError: no disk"}


def test_a_bench_that_this_machine_cannot_run_is_no_failure() -> None:
    outcome = harness.run_all(harness.choose([bench("a", "x_s", error=NotHere("not root; run it as root"))], []))
    assert outcome.failed == {}
    assert outcome.not_here == {"x_s": "not root; run it as root"}


def test_a_promised_figure_that_does_not_come_is_a_failure() -> None:
    outcome = harness.run_all(harness.choose([bench("a", "x_s", "y_s", gives=("x_s",))], []))
    assert list(outcome.failed) == ["y_s"]


def test_a_bench_that_never_ends_is_a_failure() -> None:
    async def forever(wanted: frozenset[str]) -> list[Result]:
        await asyncio.Event().wait()
        return []

    outcome = harness.run_all([(harness.Bench("a", ("x_s",), forever), frozenset({"x_s"}))], time_limit_s=0.01)
    assert outcome.failed["x_s"].startswith("TimeoutError")


def test_one_figure_or_one_module_can_be_chosen_by_name() -> None:
    benches = [bench("bench_a", "x_s", "y_s"), bench("bench_b", "z_s")]
    assert [(one.module, sorted(wanted)) for one, wanted in harness.choose(benches, ["y_s"])] == [("bench_a", ["y_s"])]
    assert [(one.module, sorted(wanted)) for one, wanted in harness.choose(benches, ["bench_a"])] == [("bench_a", ["x_s", "y_s"])]


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(harness.UnknownBench, match=r"no bench is called nope; there are: bench_a, x_s"):
        harness.choose([bench("bench_a", "x_s")], ["nope"])


def test_a_bench_that_cannot_be_imported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "some_benches"
    folder.mkdir()
    (folder / "bench_good.py").write_text("NAMES = ('x_s',)\nasync def run(wanted): return []\n")
    (folder / "bench_bad.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(tmp_path)
    benches, broken = harness.discover(folder, "some_benches")
    assert [one.module for one in benches] == ["bench_good"]
    assert "no_such_library" in broken["bench_bad"]


def test_a_run_of_one_bench_keeps_the_earlier_figures_of_the_same_machine(tmp_path: Path) -> None:
    path, here = tmp_path / "build" / "bench.json", machine.describe()
    first = report.merge([], [Result("x_s", 1, "s", "lower"), Result("y_s", 2, "s", "lower")], measured_at="2026-01-01")
    report.write_json(path, here, first, {})
    second = report.merge(report.read_earlier(path, here), [Result("y_s", 3, "s", "lower")], measured_at="2026-01-02")
    assert [(record["name"], record["value"], record["params"]["measured_at"]) for record in second] == [
        ("x_s", 1, "2026-01-01"),
        ("y_s", 3, "2026-01-02"),
    ]
    assert report.read_earlier(path, here | {"cpu": "another"}) == []
    assert set(json.loads(path.read_text())) == {"machine", "results", "failures"}


def test_a_damaged_record_of_an_earlier_run_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    for text in ("", "{", "[]", "{}", '{"machine": 1}'):
        path.write_text(text)
        assert report.read_earlier(path, machine.describe()) == []


def test_the_page_shows_machine_figures_goals_and_what_is_missing() -> None:
    records = report.merge([], [Result("x_s", 1.23456, "s", "lower", {"goal": 3, "nodes": 100})], measured_at="2026-01-01")
    page = report.markdown({"cpu": "small"}, records, {"y_s": "not root"})
    assert "| cpu | small |" in page
    assert "| x_s | 1.235 s | 3 | lower | 2026-01-01 | nodes 100 |" in page
    assert "- `y_s`: not root" in page
