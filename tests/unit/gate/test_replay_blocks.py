"""What scans were decided from, in steps and in blocks: nothing is lost, and little is kept."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.check.yaml_site import load_site
from edge_agent.gate_control.journal.packing import pack, unpack
from edge_agent.gate_control.model.values import Now, Sample
from edge_agent.gate_control.replay.blocks import BlockDamaged, BlockWriter, ScanInputs, read_block
from edge_agent.gate_control.replay.quantise import Steps, quantise_now, quantise_samples, same_samples
from shared.errors import Permanent

SITE = load_site(Path(__file__).parents[3] / "deploy" / "examples" / "canal-8-pools" / "site.yaml")
STEPS = Steps(SITE)
BEGAN = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
POINTS = [point.id for point in SITE.points] + [f"{gate.id}.moving" for gate in SITE.gates()]
BYTES_A_DAY_FOR_4_GATES = 20e6

times = st.floats(min_value=0, max_value=1e7, allow_nan=False)
values = st.none() | st.floats(min_value=-1e4, max_value=1e4, allow_nan=False) | st.sampled_from([math.nan, math.inf, -math.inf])


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    value = draw(values)
    return Sample(draw(st.sampled_from(POINTS)), value, draw(times), "" if value is not None else draw(st.text(max_size=10)))


@st.composite
def scans(draw: st.DrawFn) -> ScanInputs:
    wall = BEGAN + timedelta(seconds=draw(st.floats(min_value=-1e8, max_value=1e8)))
    now = quantise_now(Now(draw(times), wall, draw(st.booleans())))
    happened = draw(st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=2), max_size=2))
    return ScanInputs(now, quantise_samples(STEPS, draw(st.lists(samples(), max_size=5))), tuple(happened))


@given(st.lists(scans(), max_size=6))
def test_a_block_gives_back_what_was_put_into_it_bit_for_bit(put: list[ScanInputs]) -> None:
    writer = BlockWriter(STEPS, {"state": 1})
    for scan in put:
        writer.add(scan)

    block = read_block(STEPS, unpack(pack(writer.text())))

    assert block.base == {"state": 1}
    assert [scan.now for scan in block.scans] == [scan.now for scan in put]
    assert [scan.happened for scan in block.scans] == [scan.happened for scan in put]
    assert all(same_samples(got.samples, scan.samples) for got, scan in zip(block.scans, put, strict=True))


@given(st.lists(samples(), max_size=8))
def test_quantising_twice_changes_nothing_more(some: list[Sample]) -> None:
    once = quantise_samples(STEPS, some)

    assert same_samples(quantise_samples(STEPS, once), once)


@given(samples())
def test_a_value_keeps_a_tenth_of_what_its_sensor_shows_and_is_never_made_newer(sample: Sample) -> None:
    (kept,) = quantise_samples(STEPS, [sample])

    assert kept.sampled_at_s <= sample.sampled_at_s + 1e-6
    assert sample.sampled_at_s - kept.sampled_at_s <= STEPS.time_ms / 1000.0 + 1e-6
    if sample.value is not None and math.isfinite(sample.value):
        assert kept.value == pytest.approx(sample.value, abs=0.51 * STEPS.of(sample.point))
    else:
        assert (kept.value is None) == (sample.value is None)


@pytest.mark.parametrize(
    "content", [{}, {"format": 99}, {"format": 1, "points": []}, {"format": 1, "points": [], "base": {}, "scans": [[1]]}]
)
def test_what_is_no_block_is_said_to_be_none(content: dict[str, Any]) -> None:
    with pytest.raises(BlockDamaged):
        read_block(STEPS, content)


@pytest.mark.parametrize("data", [b"", b"not a block", pack("{}")[:-3]])
def test_damaged_bytes_are_said_to_be_damaged(data: bytes) -> None:
    with pytest.raises(Permanent, match="damaged"):
        unpack(data)


def test_a_day_of_noisy_scans_of_four_gates_stays_far_below_twenty_megabytes() -> None:
    source = random.Random(1)
    writer = BlockWriter(STEPS, {})
    points = [*POINTS[:12], *POINTS[-4:]]
    for second in range(300):
        now = Now(1000.0 + second + round(source.uniform(0, 0.02), 3), BEGAN + timedelta(seconds=second), True)
        seen = [Sample(point, 1.0 + source.gauss(0, 0.003), now.monotonic_s - source.uniform(0, 0.05)) for point in points]
        writer.add(ScanInputs(now, quantise_samples(STEPS, seen)))

    a_day = len(pack(writer.text())) * 86_400 / 300

    assert a_day < BYTES_A_DAY_FOR_4_GATES / 2
