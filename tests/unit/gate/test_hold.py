"""Why an update must wait, and until when, as the gate process writes it for the agent."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.decide.hold import UpdateHold, hold_updates
from edge_agent.gate_control.decide.modes import Control, GateModes, ManualMotion
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.model.values import GateState, InterlockState, Motion, Now
from edge_agent.gate_control.simulation.example import example_site
from shared.contracts.gate_plan import DeliveryOrder, PositionObjective
from tests.fakes.gate import RUNNING, START, CanalBench, make_bench, make_plan, now_at

SITE = example_site(("g1",))
DURATION_S = 600.0


def delivering() -> CanalBench:
    """A plan with one order of ten minutes that begins at once."""
    order = DeliveryOrder(order_id="o1", turnout="g1", start=START + timedelta(seconds=2), flow_m3s=3.0, duration_s=DURATION_S)
    plan = make_plan(PositionObjective(opening_pct=30.0)).model_copy(update={"orders": (order,)})
    return make_bench(plan)


def hold_of(bench: CanalBench) -> UpdateHold:
    return hold_updates(bench.memory.state, bench.readings, bench.site, bench.plan, now_at(bench.time_s))


def test_a_delivery_holds_updates_until_it_is_over() -> None:
    bench = delivering()
    bench.run(20)
    hold = hold_of(bench)
    assert "a delivery runs" in hold.reasons
    bench.run(DURATION_S / 2)
    hold = hold_of(bench)
    assert hold.reasons == ("a delivery runs",)
    assert hold.for_s is not None
    assert abs(hold.for_s - (DURATION_S + 2.0 - bench.time_s)) < 5.0
    bench.run(DURATION_S)
    assert "a delivery runs" not in hold_of(bench).reasons


def test_a_move_holds_them_for_the_rest_of_its_run() -> None:
    gates = {"g1": GateState(motion=Motion(from_pct=20.0, to_pct=30.0, ordered_at_s=100.0, run_s=12.0))}
    hold = hold_updates(SiteState(gates=gates, modes={"g1": RUNNING}), {}, SITE, None, now_at(105.0))
    assert hold.reasons == ("gate g1 is moving",)
    assert hold.for_s == 7.0 + next(iter(SITE.gates())).motion.settle_s


def test_nobody_knows_how_long_a_person_or_the_water_takes() -> None:
    manual = GateModes(control=Control.MANUAL, motion=ManualMotion(50.0, 400.0, "anna"))
    moving = GateState(mode="MANUAL", motion=Motion(20.0, 30.0, 100.0, 12.0))
    by_hand = hold_updates(SiteState(gates={"g1": moving}, modes={"g1": manual}), {}, SITE, None, now_at(105.0))
    assert by_hand.reasons == ("gate g1 is moving", "gate g1 is under manual control")
    assert by_hand.for_s is None
    flooded = GateState(interlocks={"high_high": InterlockState(tripped=True)}, motion=moving.motion)
    flood = hold_updates(SiteState(gates={"g1": flooded}, modes={"g1": RUNNING}), {}, SITE, None, now_at(105.0))
    assert (flood.is_flood, flood.for_s) == (True, None)


motions = st.none() | st.builds(Motion, st.floats(0, 100), st.floats(0, 100), st.floats(0, 1e4), st.floats(0, 600))
gate_states = st.builds(
    GateState,
    mode=st.sampled_from(["AUTO", "MANUAL", "LOCAL", "OBSERVE", "HOLD"]),
    motion=motions,
    interlocks=st.sampled_from([{}, {"high_high": InterlockState(tripped=True)}, {"low_low": InterlockState(tripped=True)}]),
)


@given(gate_states, st.floats(0, 2e4))
def test_whatever_the_state_it_is_held_for_a_reason_and_what_is_known_lies_ahead(gate: GateState, now_s: float) -> None:
    now = Now(now_s, START, True)
    hold = hold_updates(SiteState(gates={"g1": gate}, modes={"g1": RUNNING}), {}, SITE, None, now)
    assert bool(hold.reasons) == (gate.motion is not None or hold.is_flood or gate.mode in ("MANUAL", "LOCAL"))
    assert hold.is_flood == (gate.interlocks.get("high_high", InterlockState()).tripped)
    assert hold.for_s is None or (hold.reasons and hold.for_s >= 0.0)
    later = hold_updates(SiteState(gates={"g1": gate}, modes={"g1": RUNNING}), {}, SITE, None, replace(now, monotonic_s=now_s + 1.0))
    assert later.reasons == hold.reasons, "no text changes with time alone: each change is a status to send"
