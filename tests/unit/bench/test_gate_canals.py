"""The inputs of the control bench: loops that `check` would let pass, and rows that a run is held against."""

import pytest

from edge_agent.gate_control.decide.topology import topology
from edge_agent.gate_control.decide.tuning import worst_margin
from edge_agent.gate_control.simulation.asce import CANAL_1, CANAL_2, AsceCanal
from edge_agent.gate_control.simulation.asce_sites import asce_site
from tests.bench.gate_canals import (
    AS_CONFIGURED,
    CANALS,
    GOALS,
    IAE,
    LATE,
    MAE,
    MARGIN_DEG,
    SCAN_S,
    STE,
    VARIANTS,
    Variant,
    misses,
)

EACH = pytest.mark.parametrize(("canal", "variant"), [(canal, variant) for canal in CANALS for variant in VARIANTS])


@EACH
def test_every_loop_keeps_its_margin_with_the_data_as_old_as_they_come(canal: AsceCanal, variant: Variant) -> None:
    site = asce_site(canal, variant.options(canal))
    for place in topology(site).structures:
        loop = place.loops["downstream_level"]
        margin = worst_margin(loop.pool, loop.loop, is_local=False, lag_s=variant.late_s)
        assert margin.phase_margin_deg >= MARGIN_DEG[canal.name] >= 45.0
        assert margin.gain_margin_db >= 6.0
        assert loop.max_age_s > variant.late_s + SCAN_S


@EACH
def test_each_variant_has_a_row_to_be_held_against(canal: AsceCanal, variant: Variant) -> None:
    assert MAE in GOALS[canal.name, variant.name]


def test_largest_and_mean_error_must_be_better_and_the_rest_not_much_worse() -> None:
    row = dict(GOALS["asce-1", AS_CONFIGURED])
    better = {**row, MAE: row[MAE] - 0.1, IAE: row[IAE] - 0.1}
    assert misses("asce-1", AS_CONFIGURED, {**better, STE: 1.09 * row[STE]}) == ()
    assert misses("asce-1", AS_CONFIGURED, {**better, STE: 1.2}) == (f"{STE} 1.2 > 0.99",)
    assert misses("asce-1", AS_CONFIGURED, {**better, IAE: row[IAE]}) == (f"{IAE} 3.1 > 3.1",)
    assert misses("asce-1", LATE, {**better, STE: 50.0}) == ()


def test_only_flat_pools_throw_a_wave_back() -> None:
    # Clemmens et al. 2015: canal 2 oscillates, of canal 1 nothing but the first pool
    assert [CANAL_1.is_flat(reach) for reach in CANAL_1.reaches] == [True] + 7 * [False]
    assert all(CANAL_2.is_flat(reach) for reach in CANAL_2.reaches)
