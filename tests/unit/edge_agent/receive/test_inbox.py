"""A node's Desired: what is accepted, and what never is."""

from datetime import timedelta
from pathlib import Path

import pytest

from edge_agent.receive.inbox import Inbox
from edge_agent.store.state import StateStore
from shared.contracts.envelope import Role
from shared.signing.dsse import make_trust_root
from tests.builders_agent import CENTRAL, NODE, STRANGER, TRUST, make_release, open_store, present, signed_desired
from tests.fakes.fake_clock import START, FakeClock

APPS = {"web": present(make_release())}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> StateStore:
    return open_store(tmp_path, clock)


@pytest.fixture
def inbox(store: StateStore, clock: FakeClock) -> Inbox:
    return Inbox(store, TRUST, NODE, clock, lambda: None)


def told(store: StateStore) -> list[str]:
    return [
        row.body.decode().split("io.munbon.")[1].split(".")[0] for row in sorted(store.outbox.window(100), key=lambda row: row.sequence)
    ]


def test_a_signed_document_of_central_is_accepted_and_told(inbox: Inbox, store: StateStore) -> None:
    receipt = inbox.take(signed_desired(APPS, 1))

    assert receipt.outcome == "accepted"
    assert store.desired.order == (1, 1)
    assert told(store) == ["DesiredAccepted"]


def test_the_same_one_again_changes_nothing(inbox: Inbox, store: StateStore) -> None:
    envelope = signed_desired(APPS, 1)
    inbox.take(envelope)

    assert inbox.take(envelope).outcome == "known"
    assert told(store) == ["DesiredAccepted"]


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        (signed_desired(APPS, 9, signer=STRANGER), "SignatureInvalid"),
        (signed_desired(APPS, 9, node="pi-south"), "Malformed"),
        (signed_desired(APPS, 4), "OutOfOrder"),
        (signed_desired({}, 5), "OutOfOrder"),
        (signed_desired(APPS, 99, epoch=1), "OutOfOrder"),
        (signed_desired(APPS, 9, epoch=2, critical=("telepathy",)), "UnsupportedFeature"),
        (signed_desired(APPS, 9, epoch=2, schema_version="2.0"), "UnsupportedVersion"),
        (signed_desired(APPS, 9, epoch=2, expires_at=START - timedelta(seconds=1)), "Expired"),
        (b"no envelope at all", "Malformed"),
        (b"x" * 600_000, "TooLarge"),
    ],
)
def test_what_may_not_be_believed_is_refused_told_once_and_changes_nothing(
    inbox: Inbox, store: StateStore, envelope: bytes, code: str
) -> None:
    inbox.take(signed_desired(APPS, 5, epoch=2))

    receipts = [inbox.take(envelope) for _ in range(3)]

    assert {receipt.code for receipt in receipts} == {code}
    assert inbox.refusal is not None
    assert store.desired.order == (2, 5)
    assert told(store) == ["DesiredAccepted", "DesiredRefused"]


def test_a_raised_epoch_is_newer_whatever_the_generation(inbox: Inbox, store: StateStore) -> None:
    inbox.take(signed_desired(APPS, 500))

    assert inbox.take(signed_desired(APPS, 1, epoch=2)).outcome == "accepted"
    assert store.desired.order == (2, 1)


def test_expiry_is_judged_once_and_only_by_a_clock_that_is_right(store: StateStore, clock: FakeClock) -> None:
    inbox = Inbox(store, TRUST, NODE, clock, lambda: None)
    envelope = signed_desired(APPS, 1, expires_at=START + timedelta(days=1))
    assert inbox.take(envelope).outcome == "accepted"
    clock.tick(30 * 86_400)
    assert inbox.take(envelope).outcome == "known"
    assert store.desired.current is not None

    late = signed_desired(APPS, 2, expires_at=START + timedelta(days=1))
    clock.synchronised = False

    assert inbox.take(late).outcome == "accepted"


def test_central_may_not_sign_with_a_key_of_another_role(store: StateStore, clock: FakeClock) -> None:
    trust = make_trust_root({Role.DESIRED: [STRANGER.public], Role.COMMAND: [CENTRAL.public]})

    assert Inbox(store, trust, NODE, clock, lambda: None).take(signed_desired(APPS, 1)).code == "SignatureInvalid"
