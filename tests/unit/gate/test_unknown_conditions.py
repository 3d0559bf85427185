"""An alarm whose sensor fails is neither there nor gone: it stays as it is, until somebody can see again."""

from dataclasses import replace

from edge_agent.gate_control.model.configuration import SiteConfiguration, SiteInput
from edge_agent.gate_control.model.values import Sample
from edge_agent.gate_control.simulation.example import example_site
from shared.contracts.gate_plan import UpstreamLevelObjective
from tests.fakes.gate import CanalBench, make_bench, make_plan, with_value


def events(bench: CanalBench, key: str) -> list[str]:
    return [event for _, at, event in bench.alarms if at == key]


def silence(bench: CanalBench, *points: str) -> None:
    bench.distort = lambda sample: with_value(sample, sample.point, None) if sample.point in points else sample


def test_a_high_level_stays_an_alarm_when_its_sensor_goes_out() -> None:
    bench = make_bench()
    bench.canal.set_inflow("p1", 12.0)
    bench.run_until("p1/level_high", 2000.0)
    silence(bench, "g1-level")
    bench.run(300)
    assert bench.has_alarm("g1/sensor_stale.g1-level")
    assert events(bench, "p1/level_high") == ["came"]
    # mended, and the water is low again
    bench.canal._pools["p1"].level_m = 2.0
    bench.canal.set_inflow("p1", 2.0)
    bench.distort = lambda sample: sample
    bench.memory = replace(bench.memory, histories={})
    bench.run(120)
    assert events(bench, "p1/level_high") == ["came", "went"]


def test_no_alarm_comes_of_what_nobody_can_see() -> None:
    bench = make_bench()
    bench.run(60)
    silence(bench, "g1-level")
    bench.run(30)
    bench.canal.set_inflow("p1", 12.0)
    bench.run(1500)
    assert events(bench, "p1/level_high") == []


def test_a_jam_stays_told_when_the_actuator_falls_silent() -> None:
    bench = make_bench(make_plan(UpstreamLevelObjective(level_m=2.0)))
    bench.run(30)
    bench.distort = lambda sample: with_value(sample, "g1.inhibited", 1.0)
    bench.run(30)
    silence(bench, *(f"g1.{fact}" for fact in ("remote", "moving", "closed_limit", "open_limit", "jammed", "by_hand", "inhibited")))
    bench.run(120)
    assert events(bench, "g1/actuator_inhibited") == ["came"]
    assert events(bench, "g1/actuator_silent") == ["came"]


def test_a_sensor_that_was_out_of_range_and_now_says_nothing_is_not_well_again() -> None:
    bench = make_bench()
    bench.run(30)
    bench.distort = lambda sample: with_value(sample, "g1-level", 99.0)
    bench.run(30)
    silence(bench, "g1-level")
    bench.run(60)
    assert events(bench, "g1/sensor_out_of_range.g1-level") == ["came"]
    bench.distort = lambda sample: sample
    bench.run(60)
    assert events(bench, "g1/sensor_out_of_range.g1-level") == ["came", "went"]


def with_mains() -> SiteConfiguration:
    site = example_site()
    mains = site.points[0].model_copy(update={"id": "mains", "unit": "state", "resolution": 1.0, "max_rate_per_s": 10.0, "valid_min": 0.0})
    return site.model_copy(update={"points": (*site.points, mains), "inputs": (SiteInput(name="mains_lost", point="mains"),)})


def test_the_mains_are_not_back_because_their_input_is_silent() -> None:
    bench = make_bench()
    bench.site = with_mains()
    said: list[float | None] = [1.0]
    bench.more = lambda: [Sample("mains", said[0], bench.time_s)]
    bench.run(30)
    said[0] = None
    bench.run(120)
    assert events(bench, "site/mains_lost") == ["came"]
    said[0] = 0.0
    bench.run(60)
    assert events(bench, "site/mains_lost") == ["came", "went"]
