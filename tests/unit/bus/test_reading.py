"""Bytes from the event stream: an event, a status, or unreadable with a reason; never an exception."""

from hypothesis import given
from hypothesis import strategies as st

from central.ingest.reading import Unreadable, read_message
from shared.contracts.event import Event
from shared.contracts.status import NodeStatus
from tests import builders_central as build


@given(st.binary(max_size=200), st.text(max_size=30))
def test_no_bytes_and_no_subject_make_it_fail(body: bytes, subject: str) -> None:
    assert isinstance(read_message(subject, body), Unreadable)
    assert isinstance(read_message("evt.n1.agent", body), Unreadable)


@given(st.integers(1, 2**53))
def test_an_event_is_the_senders_by_its_subject(sequence: int) -> None:
    event = build.event("n1", sequence)
    body = event.model_dump_json().encode()
    assert read_message("evt.n1.release", body) == ("n1", event)
    assert isinstance(read_message("evt.n2.release", body), Unreadable)
    assert isinstance(read_message("hb.n1", body), Unreadable)


def test_a_status_is_known_by_its_kind_and_may_be_larger_than_an_event() -> None:
    status = build.status("n1", messages=("x" * (Event.MAX_BYTES + 1_000),))
    assert read_message("evt.n1.status", status.model_dump_json().encode()) == status
    assert isinstance(read_message("evt.n2.status", status.model_dump_json().encode()), Unreadable)


def test_too_large_ones_are_told_with_the_limit() -> None:
    event = build.event("n1", 1, data={"text": "x" * Event.MAX_BYTES})
    found = read_message("evt.n1.release", event.model_dump_json().encode())
    assert isinstance(found, Unreadable)
    assert str(Event.MAX_BYTES) in found.reason
    huge = read_message("evt.n1.release", b"x" * (NodeStatus.MAX_BYTES + 1))
    assert isinstance(huge, Unreadable)
    assert str(NodeStatus.MAX_BYTES) in huge.reason


def test_fields_of_a_newer_minor_version_are_no_reason_to_refuse() -> None:
    body = build.event("n1", 1).model_dump_json().encode()[:-1] + b', "addedlater": 1}'
    assert isinstance(read_message("evt.n1.release", body), tuple)
