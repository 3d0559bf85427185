"""Records name what a cluster made, so that it can be removed by somebody else."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local_cluster import cleanup, kernel_settings, network, records
from deploy.local_cluster.record_keeper import RecordKeeper
from deploy.local_cluster.records import ProcessId
from shared.errors import UsageError


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # pytest's own folder has too long a name for a socket below it
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("MUNBON_CACHE", folder)
        yield


def test_a_record_read_back_is_the_same() -> None:
    keeper = RecordKeeper.open("full_node", "pi-north", None)
    keeper.add_process(os.getpid())
    assert records.read_records() == [keeper.record]


def test_a_file_that_is_no_record_is_skipped() -> None:
    keeper = RecordKeeper.open("control_plane", "test", None)
    (keeper.record.path.parent / "half.json").write_text('{"instance": "x"')
    (keeper.record.path.parent / "newer.json").write_text('{"instance": "x", "layout": 2}')
    assert records.read_records() == [keeper.record]


def test_clusters_of_one_name_share_nothing() -> None:
    one = RecordKeeper.open("full_node", "pi-north", None).record
    other = RecordKeeper.open("full_node", "pi-north", None).record
    for field in ("instance", "port", "slot", "netns", "link", "cgroup", "state_dir"):
        assert getattr(one, field) != getattr(other, field), field


def test_a_pid_that_was_used_again_is_not_the_same_process() -> None:
    own = records.this_process()
    assert records.is_alive(own)
    assert not records.is_alive(ProcessId(own.pid, own.start_ticks - 1))


def test_a_process_that_ended_and_was_not_yet_waited_for_is_not_alive() -> None:
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not records.is_alive(records.identify(child.pid))


def test_what_a_dead_owner_left_is_removed_and_what_a_living_one_has_is_not() -> None:
    living = RecordKeeper.open("control_plane", "living", None).record
    dead = replace(RecordKeeper.open("control_plane", "dead", None).record, owner=ProcessId(os.getpid(), 1))
    dead.save()
    assert cleanup.clean_up_stale() == [dead.instance]
    assert not Path(dead.state_dir).exists()
    assert Path(living.state_dir).exists()
    assert records.read_records() == [living]


def test_a_record_of_an_earlier_boot_has_no_living_owner() -> None:
    record = RecordKeeper.open("control_plane", "test", None).record
    assert record.owner_lives()
    assert not replace(record, boot_id="another").owner_lives()


def test_a_folder_of_the_caller_stays_when_the_cluster_is_removed(tmp_path: Path) -> None:
    record = RecordKeeper.open("control_plane", "test", tmp_path / "kept").record
    assert cleanup.tear_down(record) == []
    assert (tmp_path / "kept").exists()


def test_a_state_folder_in_which_no_socket_fits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="shorter"):
        RecordKeeper.open("control_plane", "test", tmp_path / ("x" * 100))


def test_mounts_are_undone_from_the_inside_out(tmp_path: Path) -> None:
    lines = [f"1 0 0:1 / {point} rw - tmpfs t rw" for point in ("/s", "/s/a", "/s/a/b\\040c", "/sibling")]
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text("\n".join(lines))
    assert cleanup.mounts_below(Path("/s"), mountinfo) == ["/s/a/b c", "/s/a", "/s"]


def test_kernel_settings_come_back_when_the_last_node_is_gone(tmp_path: Path) -> None:
    (tmp_path / "vm").mkdir()
    setting = tmp_path / "vm" / "overcommit_memory"
    setting.write_text("0\n")
    kernel_settings.note(tmp_path)
    setting.write_text("1")
    kernel_settings.note(tmp_path)
    kernel_settings.restore_unless(lambda: True, tmp_path)
    assert setting.read_text() == "1"
    kernel_settings.restore_unless(lambda: False, tmp_path)
    assert setting.read_text() == "0"


@given(st.sampled_from(network.CANDIDATES), st.sets(st.integers(0, network.SLOTS - 1), min_size=2, max_size=20))
def test_no_two_nodes_share_an_address(candidate: str, slots: set[int]) -> None:
    links = [network.link_of(slot, candidate) for slot in slots]
    addresses = [address for link in links for address in (link.host_address, link.node_address)]
    assert len(set(addresses)) == len(addresses)
