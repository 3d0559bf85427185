"""Whether a stream's configuration on the server is the one that is wanted, and where chunks lie."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.bus.central_session import chunk_count
from central.bus.streams import StreamLimits, artifact_stream, desired_stream, differs, event_stream
from shared.contracts.limits import CHUNK_BYTES


@pytest.mark.parametrize("make", [desired_stream, artifact_stream, event_stream])
def test_a_full_stream_refuses_the_new_and_keeps_the_old(make: Any) -> None:
    config = make(StreamLimits())
    assert config["discard"] == "new"
    assert config["max_bytes"] > 0
    assert not config["allow_rollup_hdrs"]


@given(st.integers(1, 2**40), st.integers(1, 2**40))
def test_another_limit_is_a_difference_and_what_the_server_adds_is_none(first: int, second: int) -> None:
    wanted = event_stream(StreamLimits(events_max_bytes=first))
    found = {key: value for key, value in event_stream(StreamLimits(events_max_bytes=second)).items() if value} | {"max_age": 0}
    assert differs(wanted, found) == (first != second)


@given(st.integers(0, 10 * CHUNK_BYTES))
def test_chunks_cover_every_byte_once(size_bytes: int) -> None:
    count = chunk_count(size_bytes)
    assert (count - 1) * CHUNK_BYTES < max(1, size_bytes) <= count * CHUNK_BYTES
