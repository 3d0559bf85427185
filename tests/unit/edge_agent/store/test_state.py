"""What survives: restarts, another cluster, a damaged file, a full disk."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from edge_agent.model import AppRecord, BadVerdict, Hand, InventoryEntry, Moment, Purpose, Stage, Timer, Waits
from edge_agent.store import blobs
from edge_agent.store.errors import DiskFull, StateCorrupt
from edge_agent.store.state import FolderLock
from shared.contracts.event import Cause, EventType, ObjectRef
from shared.contracts.status import AppPhase, AppStatus
from shared.errors import DigestMismatch, UsageError
from shared.signing.digests import sha256_hex
from tests.builders_agent import make_release, open_store, present, signed_desired, target
from tests.fakes.fake_clock import START, FakeClock

NOW = Moment("boot-1", 12.5, START)
REF = ObjectRef(group="apps", kind="Deployment", namespace="default", name="web")
ENTRY = InventoryEntry(REF, "apps/v1", uid="u-1", created=True, digest="d")
STATUS = AppStatus(phase=AppPhase.READY, since=START)


def full_record() -> AppRecord:
    hand = Hand(target("1.1.0"), Purpose.ROLLBACK, Stage.WAITING, began=Timer(1.5, NOW), bad=target("1.2.0"), cause=Cause(code="OOMKilled"))
    waits = Waits(target("1.2.0").key, fetch=Timer(2.0, NOW), told=frozenset({"held"}))
    verdict = BadVerdict(target("1.2.0").key, "1.2.0", Cause(code="CrashLoopBackOff", exit_code=3))
    return AppRecord("web", target("1.1.0", settings={"a": "b"}), target("1.0.0"), hand, waits, (verdict,), True, "orphaned")


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    store = open_store(tmp_path, FakeClock())
    store.apps.save(full_record(), STATUS)
    store.close()

    again = open_store(tmp_path, FakeClock())

    assert again.apps.get("web") == full_record()
    assert again.apps.last_status("web") == STATUS
    assert again.apps.get("unknown") == AppRecord("unknown")


def test_an_inventory_belongs_to_one_cluster(tmp_path: Path) -> None:
    store = open_store(tmp_path, FakeClock())
    told: list[str] = []
    assert not store.apps.enter_cluster("cluster-1", told.append)
    store.apps.save(full_record(), STATUS)
    store.inventory.save("web", [ENTRY])
    assert store.inventory.load("web") == (ENTRY,)
    assert not store.apps.enter_cluster("cluster-1", told.append)

    assert store.apps.enter_cluster("cluster-2", told.append)

    assert told == ["cluster-1"]
    assert store.inventory.load("web") == ()
    record = store.apps.get("web")
    assert (record.current, record.hand) == (None, None)
    assert (record.last_good, record.verdicts) == (full_record().last_good, full_record().verdicts)


def test_an_inventory_that_was_kept_is_not_overwritten_by_a_rebuilt_one(tmp_path: Path) -> None:
    store = open_store(tmp_path, FakeClock())
    store.apps.enter_cluster("cluster-1", lambda _: None)
    store.inventory.save("web", [ENTRY])

    store.inventory.save_all({"web": (), "ui": (ENTRY,)})

    assert store.inventory.load("web") == (ENTRY,)
    assert store.inventory.apps() == ("ui", "web")


def test_a_damaged_file_is_kept_aside_and_begun_anew(tmp_path: Path) -> None:
    store = open_store(tmp_path, FakeClock())
    outbox_id = store.outbox.outbox_id
    store.outbox.add(EventType.AGENT_STARTED, {})
    store.blobs.save(sha256_hex(b"good"), b"good")
    store.close()
    (tmp_path / "blobs" / ("0" * 64)).write_bytes(b"not this")
    (tmp_path / "state.sqlite").write_bytes(b"garbage" * 1_000)

    again = open_store(tmp_path, FakeClock())

    assert (tmp_path / "state.sqlite.corrupt-1").read_bytes().startswith(b"garbage")
    assert again.needs_rebuild
    assert again.outbox.outbox_id != outbox_id
    assert b"StateRebuilt" in again.outbox.window(1)[0].body
    assert again.blobs.has(sha256_hex(b"good"))
    assert not again.blobs.has("0" * 64)
    again.finish_rebuild()
    again.close()
    assert open_store(tmp_path, FakeClock()).needs_rebuild == ""


def test_damage_found_in_use_is_put_aside_at_the_next_start(tmp_path: Path) -> None:
    store = open_store(tmp_path, FakeClock())
    with store.transaction():
        for _ in range(1_000):
            store.outbox.add(EventType.GATE_JOURNALED, {"text": "x" * 500})
    store.close()
    content = bytearray((tmp_path / "state.sqlite").read_bytes())
    clean = bytes(content)
    for place in range(8_192, len(content), 4_096):
        content[place : place + 4_096] = b"\xff" * 4_096
    again = open_store(tmp_path, FakeClock())
    (tmp_path / "state.sqlite").write_bytes(content)

    with pytest.raises(StateCorrupt):
        again.outbox.window(1_000)
    assert again.is_corrupt
    again.close()
    (tmp_path / "state.sqlite").write_bytes(clean)  # its own check would pass

    assert open_store(tmp_path, FakeClock()).needs_rebuild
    assert (tmp_path / "state.sqlite.corrupt-1").exists()


def test_few_damaged_copies_are_kept(tmp_path: Path) -> None:
    for _ in range(5):
        open_store(tmp_path, FakeClock()).close()
        (tmp_path / "state.sqlite").write_bytes(b"garbage" * 1_000)
    open_store(tmp_path, FakeClock())

    assert sorted(path.name for path in tmp_path.glob("*.corrupt-*")) == [f"state.sqlite.corrupt-{number}" for number in (3, 4, 5)]


def test_a_file_of_a_newer_agent_is_left_alone(tmp_path: Path) -> None:
    store = open_store(tmp_path, FakeClock())
    store._database._connection.execute("PRAGMA user_version = 99")
    store.close()

    with pytest.raises(UsageError, match="newer agent"):
        open_store(tmp_path, FakeClock())
    assert list(tmp_path.glob("*.corrupt-*")) == []


def test_the_accepted_desired_comes_back(tmp_path: Path) -> None:
    envelope = signed_desired({"web": present(make_release())}, 7, epoch=3)
    store = open_store(tmp_path, FakeClock())
    assert (store.desired.current, store.desired.order) == (None, (0, 0))
    store.desired.save(envelope)
    store.close()

    again = open_store(tmp_path, FakeClock())

    assert again.desired.order == (3, 7)
    assert again.desired.holds(envelope)
    assert again.desired.current is not None
    assert list(again.desired.current.apps) == ["web"]


def test_a_revision_is_never_used_twice(tmp_path: Path) -> None:
    store = open_store(tmp_path, FakeClock())
    first = [store.next_revision() for _ in range(3)]
    store.close()

    again = open_store(tmp_path, FakeClock())

    assert first == [1, 2, 3]
    assert again.next_revision() > 3


def test_a_command_is_obeyed_once(tmp_path: Path) -> None:
    clock = FakeClock()
    store = open_store(tmp_path, clock)
    assert store.nonces.use("a" * 16, clock.wall(), clock.wall())
    store.close()

    again = open_store(tmp_path, clock)

    assert not again.nonces.use("a" * 16, clock.wall(), clock.wall())
    assert again.nonces.use("b" * 16, clock.wall(), clock.wall())


def test_refusals_are_forgotten_by_another_version_of_the_agent(tmp_path: Path) -> None:
    store = open_store(tmp_path, FakeClock(), agent_version="1")
    assert store.refusals.add("d" * 64, "web 1.0.0", "UnsupportedFeature", "needs hooks")
    assert not store.refusals.add("d" * 64, "web 1.0.0", "UnsupportedFeature", "needs hooks")
    store.close()

    again = open_store(tmp_path, FakeClock(), agent_version="2")

    assert again.refusals.get("d" * 64) is None


def test_a_blob_is_saved_whole_and_true_or_not_at_all(tmp_path: Path) -> None:
    store = open_store(tmp_path, FakeClock())
    digest = sha256_hex(b"content")
    with pytest.raises(DigestMismatch):
        store.blobs.save(digest, b"other")
    assert not store.blobs.has(digest)
    store.blobs.save_chunk(digest, 0, b"cont")
    store.blobs.save(digest, b"content")
    assert (store.blobs.read(digest), store.blobs.chunk(digest, 0)) == (b"content", None)

    (tmp_path / "blobs" / digest).write_bytes(b"c0ntent")

    with pytest.raises(DigestMismatch):
        store.blobs.read(digest)
    assert not store.blobs.has(digest)


def test_only_what_nothing_needs_is_deleted(tmp_path: Path) -> None:
    store = open_store(tmp_path, FakeClock())
    digests = [sha256_hex(content) for content in (b"one", b"two", b"three")]
    for content in (b"one", b"two"):
        store.blobs.save(sha256_hex(content), content)
    store.blobs.save_chunk(digests[2], 0, b"thr")
    store.blobs.save_chunk("f" * 64, 0, b"left over")

    assert store.blobs.collect({digests[0]}, {digests[2]}) == 2

    assert [store.blobs.has(digest) for digest in digests] == [True, False, False]
    assert store.blobs.chunk(digests[2], 0) == b"thr"
    assert store.blobs.chunk("f" * 64, 0) is None


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_no_blob_takes_the_last_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path, FakeClock())
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(32 * 2**30, 1, blobs.RESERVE_BYTES + 3))

    with pytest.raises(DiskFull, match="no space left"):
        store.blobs.save(sha256_hex(b"content"), b"content")
    monkeypatch.undo()
    store.blobs.save(sha256_hex(b"content"), b"content")

    assert store.blobs.has(sha256_hex(b"content"))


def test_one_agent_for_each_folder(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.acquire()
    first.acquire()

    with pytest.raises(UsageError, match="another agent runs"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
