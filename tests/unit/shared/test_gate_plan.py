"""Delivery orders in a plan: what one must say, and that those of the first version are still read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.contracts.codec import validate
from shared.contracts.gate_plan import DeliveryOrder
from shared.errors import Malformed

START = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
ORDER = {"order_id": "o1", "turnout": "t1", "start": "2026-05-01T06:00:00Z", "flow_m3s": 0.5, "duration_s": 600}


def read(**changes: Any) -> DeliveryOrder:
    return validate({key: value for key, value in {**ORDER, **changes}.items() if value is not None}, DeliveryOrder, subject="order")


def test_an_order_of_the_first_version_named_its_turnout_gate() -> None:
    assert read(turnout=None, gate="t1") == read()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"duration_s": None}, "needs volume_m3 or duration_s"),
        ({"flow_m3s": 0.0}, "flow_m3s"),
        ({"volume_m3": -1.0}, "volume_m3"),
        ({"turnout": None}, "turnout"),
        ({"order_id": "Field 7"}, "order_id"),
        ({"latest_start": (START - timedelta(seconds=1)).isoformat()}, "latest_start lies before start"),
    ],
)
def test_an_order_that_could_not_end_or_not_begin_is_no_order(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(Malformed, match=why):
        read(**changes)
