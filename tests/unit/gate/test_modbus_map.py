"""What the site's own map shows."""

import itertools
import math
import struct

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.decide.modes import GateModes, Tag, permit
from edge_agent.gate_control.modbus_map.layout import MODES, NO_SCAN_S, MapSnapshot, RegisterMap, layout_of, next_snapshot
from edge_agent.gate_control.modbus_map.server import may_read
from edge_agent.gate_control.model.values import Quality, Reading
from tests.fakes.gate_site import gate, level_point, pool, site

LARGEST = site(
    points=[level_point(f"level-{index}", "d1", 10 + index) for index in range(240)],
    gates=[gate(f"g{index}", "d1") for index in range(16)],
    pools=[pool(f"p{index}", outlet=f"g{index % 16}", tail_levels=[f"level-{index}"]) for index in range(32)],
)
MAP = RegisterMap(LARGEST)


def value_of(words: tuple[int, ...]) -> tuple[float, int, int, float]:
    number = struct.unpack(">f", struct.pack(">HH", *words[:2]))[0]
    thousandths = struct.unpack(">i", struct.pack(">HH", *words[6:8]))[0]
    return float(number), words[2], words[3], thousandths / 1000.0


def test_the_largest_site_has_room_and_nothing_overlaps() -> None:
    entries = layout_of(LARGEST)
    assert all(before.start + before.count <= after.start for before, after in itertools.pairwise(entries))
    assert entries[-1].start + entries[-1].count <= 0x10000
    assert len(entries) == 1 + 16 + 256 + 64 + 16


readings = st.builds(
    Reading,
    st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
    st.floats(0.0, 1e6),
    st.sampled_from(Quality),
    st.just("level-0"),
    is_fresh=st.booleans(),
)


@given(reading=readings, later_s=st.floats(-5.0, 30.0))
def test_a_number_is_shown_only_while_it_is_believed(reading: Reading, later_s: float) -> None:
    snapshot = next_snapshot(MapSnapshot(), {"level-0": reading}, {}, {}, 100.0)
    now_s = 100.0 + later_s
    words = MAP.read(snapshot, 1000, 8, now_s)
    assert words is not None
    assert all(0 <= word <= 0xFFFF for word in words)
    number, quality, _, thousandths = value_of(words)
    is_believed = reading.value is not None and math.isfinite(reading.value) and reading.quality is not Quality.BAD
    if is_believed and 0.0 <= now_s - 100.0 <= NO_SCAN_S:
        assert quality in (1, 2)
        if reading.value is not None and abs(reading.value) < 1e6:
            assert math.isclose(number, reading.value, rel_tol=1e-6, abs_tol=1e-30)
            assert abs(thousandths - reading.value) <= 0.0006
    else:
        assert math.isnan(number)
        assert (quality, thousandths) == (0, -(2**31) / 1000.0)


@given(start=st.integers(0, 0xFFFF), count=st.integers(1, 125))
def test_any_request_gets_as_many_registers_as_it_asked_for_or_none(start: int, count: int) -> None:
    words = MAP.read(MapSnapshot(), start, count, 5.0)
    assert words is None or len(words) == count


def test_heartbeat_and_counters_go_round() -> None:
    reading = Reading(1.0, 0.0, Quality.GOOD, "level-0", (), True)
    snapshot = MapSnapshot(scan=0xFFFF, counters={"point level-0": 0xFFFF})
    after = next_snapshot(snapshot, {"level-0": reading}, {}, {}, 1.0)
    assert (after.scan, after.counters["point level-0"]) == (0, 0)


@given(st.builds(GateModes, tags=st.sampled_from([(), (Tag("som", "now"),)]), trip=st.sampled_from(["", "stuck"])))
def test_every_mode_that_a_gate_can_be_in_has_a_number(modes: GateModes) -> None:
    snapshot = MapSnapshot(at_s=1.0, modes={"g3": permit(modes).mode})
    words = MAP.read(snapshot, 100 + 20 * 3, 20, 1.5)
    assert words is not None
    assert MODES[words[8]] == permit(modes).mode


def test_the_list_of_readers_is_kept() -> None:
    nobody, some = may_read(()), may_read(("10.20.0.0/16", "fd00::/8", "192.0.2.7"))
    assert [nobody(peer) for peer in ("127.0.0.1", "::1", "10.0.0.1", "")] == [True, True, False, False]
    assert [some(peer) for peer in ("10.20.3.4", "::ffff:10.20.3.4", "fd00::1%eth0", "192.0.2.7")] == [True] * 4
    assert [some(peer) for peer in ("10.21.3.4", "127.0.0.1", "nonsense")] == [False] * 3
