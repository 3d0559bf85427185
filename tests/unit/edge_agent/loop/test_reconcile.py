"""Whole passes of the agent over a fake cluster: what a node does, told as stories."""

from pathlib import Path

import pytest

from shared.contracts.release import DeliveryPolicy
from shared.contracts.status import AppPhase
from tests.builders_agent import ABSENT, Bench, config_map, interlock_bytes, make_release, paused, present
from tests.fakes.fake_engine import NO_ROUTE, PowerCut, crashing, pulling, unhealthy

V1 = make_release(version="1.0.0", objects=[config_map("web", {"v": "1"}), config_map("old")])
V2 = make_release(version="1.1.0", objects=[config_map("web", {"v": "2"}), config_map("new")])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path / "state")
    for release in (V1, V2):
        made.put(release)
    return made


async def test_a_release_gets_applied_healthy_and_last_good(bench: Bench) -> None:
    bench.want(web=present(V1))

    await bench.settle()

    status = bench.status()
    assert (status.phase, status.running_version, status.last_good_version) == (AppPhase.READY, "1.0.0", "1.0.0")
    assert bench.cluster.versions("web") == {"1.0.0"}
    assert bench.told() == ["DesiredAccepted", "ReleaseApplied", "ReleaseReady"]
    assert bench.events("ReleaseReady")[0].rolloutid == "rollout-1"


async def test_a_new_release_drops_what_it_no_longer_has_but_only_when_healthy(bench: Bench) -> None:
    bench.want(web=present(V1))
    await bench.settle()
    bench.cluster.plays["1.1.0"] = pulling(5)
    bench.want(web=present(V2))

    await bench.passes(3)
    assert bench.cluster.names("web") == {"web", "old", "new"}
    await bench.settle()

    assert bench.cluster.names("web") == {"web", "new"}
    assert [entry.ref.name for entry in bench.store.inventory.load("web")] == ["web", "new"]
    assert bench.told()[-2:] == ["ReleaseReady", "ObjectsPruned"]


async def test_a_bad_release_goes_back_alone_and_is_not_tried_again(bench: Bench) -> None:
    bench.want(web=present(V1))
    await bench.settle()
    bench.cluster.plays["1.1.0"] = crashing()
    bench.want(web=present(V2))

    await bench.settle()

    status = bench.status()
    assert (status.phase, status.running_version, status.last_good_version) == (AppPhase.ROLLED_BACK, "1.0.0", "1.0.0")
    assert status.cause is not None
    assert (status.cause.code, status.cause.exit_code) == ("CrashLoopBackOff", 3)
    assert bench.cluster.names("web") == {"web", "old"}
    assert bench.told().count("ReleaseFailed") == bench.told().count("ReleaseRolledBack") == 1
    assert bench.cluster.calls.count("apply 1.1.0") == 1
    rolled_back = bench.events("ReleaseRolledBack")[0].data
    assert (rolled_back["version"], rolled_back["last_good_version"]) == ("1.1.0", "1.0.0")


async def test_going_back_works_after_a_restart_and_without_any_link(bench: Bench) -> None:
    bench.want(web=present(V1))
    await bench.settle()
    bench.cluster.plays["1.1.0"] = crashing()
    bench.cluster.kill_at = "converge 1.0.0"
    bench.want(web=present(V2))
    with pytest.raises(PowerCut):
        await bench.settle()

    bench.restart()
    await bench.settle()

    assert bench.status().phase is AppPhase.ROLLED_BACK
    assert bench.cluster.versions("web") == {"1.0.0"}
    assert bench.told().count("ReleaseFailed") == bench.told().count("ReleaseRolledBack") == 1


async def test_a_raised_attempt_tries_the_bad_release_again(bench: Bench) -> None:
    bench.want(web=present(V1))
    await bench.settle()
    bench.cluster.plays["1.1.0"] = crashing()
    bench.want(web=present(V2))
    await bench.settle()
    del bench.cluster.plays["1.1.0"]

    bench.want(web=present(V2, attempt=2))
    await bench.settle()

    assert (bench.status().phase, bench.status().last_good_version) == (AppPhase.READY, "1.1.0")


async def test_wanting_the_last_good_after_an_automatic_rollback_changes_nothing_twice(bench: Bench) -> None:
    bench.want(web=present(V1))
    await bench.settle()
    bench.cluster.plays["1.1.0"] = crashing()
    bench.want(web=present(V2))
    await bench.settle()

    bench.want(web=present(V1, attempt=2))
    await bench.settle()

    assert bench.status().phase is AppPhase.READY
    assert bench.cluster.versions("web") == {"1.0.0"}
    assert bench.told().count("ReleaseRolledBack") == 1


async def test_a_bad_first_release_is_kept_and_reported(bench: Bench) -> None:
    bench.cluster.plays["1.0.0"] = crashing()
    bench.want(web=present(V1))

    await bench.settle()

    assert bench.status().phase is AppPhase.FAILED
    assert "nothing" not in bench.told()
    assert bench.cluster.names("web") == {"web", "old"}
    assert bench.told().count("ReleaseFailed") == 1
    assert bench.cluster.calls.count("apply 1.0.0") == 1


async def test_a_rollback_that_fails_too_is_told_once_and_never_gone_back_from(bench: Bench) -> None:
    policy = DeliveryPolicy(health_deadline_s=5)
    good = make_release(version="1.0.0", delivery=policy)
    bench.put(good)
    bench.want(web=present(good))
    await bench.settle()
    bench.cluster.plays |= {"1.1.0": crashing(), "1.0.0": unhealthy()}
    bench.want(web=present(V2))

    await bench.passes(30)

    assert bench.status().phase is AppPhase.FAILED
    assert bench.told().count("RollbackFailed") == 1
    assert "ReleaseRolledBack" not in bench.told()
    del bench.cluster.plays["1.0.0"]
    await bench.settle()
    assert bench.status().phase is AppPhase.ROLLED_BACK
    assert bench.told().count("ReleaseRolledBack") == 1


async def test_a_slow_pull_is_no_failure(bench: Bench) -> None:
    bench.cluster.plays["1.0.0"] = pulling(400)
    bench.want(web=present(V1))

    await bench.passes(350)
    assert bench.status().phase is AppPhase.PROGRESSING
    assert bench.status().message.startswith("images are not there yet")
    await bench.passes(80)

    assert bench.status().phase is AppPhase.READY


async def test_a_dead_cluster_fails_no_release(bench: Bench) -> None:
    bench.cluster.plays["1.0.0"] = pulling(3)
    bench.want(web=present(V1))
    await bench.passes(2)
    bench.cluster.is_away = True

    await bench.passes(600)
    assert bench.status().cause is not None
    bench.cluster.is_away = False
    await bench.passes(40)

    assert bench.status().phase is AppPhase.READY
    assert "ReleaseFailed" not in bench.told()


async def test_nothing_is_applied_while_the_gate_holds_and_never_in_a_flood(tmp_path: Path) -> None:
    file = tmp_path / "interlock.json"
    bench = Bench(tmp_path / "state", interlock_file=file)
    held = make_release(version="1.0.0", delivery=DeliveryPolicy(longest_deferral_s=60))
    bench.put(held)
    bench.want(web=present(held))

    for _ in range(100):
        file.write_bytes(interlock_bytes(bench.clock, hold=True, flood=True, reason="flood alarm at p1"))
        await bench.passes(1)
    assert bench.status().phase is AppPhase.HELD
    assert bench.cluster.live == {}
    for _ in range(3):
        file.write_bytes(interlock_bytes(bench.clock, hold=True))
        await bench.passes(1)

    assert bench.status().phase is AppPhase.READY
    codes = [event.data["cause"]["code"] for event in bench.events("ReleaseHeld")]
    assert codes == ["FloodAlarm", "DeferralExpired"]


async def test_a_missing_interlock_file_holds(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "state", interlock_file=tmp_path / "interlock.json")
    bench.put(V1)
    bench.want(web=present(V1))

    await bench.passes(3)

    assert bench.status().message == "the gate process has written no interlock file"
    (tmp_path / "interlock.json").write_bytes(interlock_bytes(bench.clock, hold=False))
    await bench.passes(2)
    assert bench.status().phase is AppPhase.READY


async def test_an_object_changed_by_hand_is_put_back_and_told(bench: Bench) -> None:
    bench.want(web=present(V1))
    await bench.settle()
    ref = next(ref for ref in bench.cluster.live if ref.name == "web")
    del bench.cluster.live[ref]

    await bench.passes(1, every_s=400)
    await bench.settle()

    assert ref in bench.cluster.live
    drift = bench.events("DriftCorrected")
    assert [event.data["objects"][0]["name"] for event in drift] == ["web"]


async def test_an_app_that_is_no_longer_listed_is_left_running(bench: Bench) -> None:
    bench.want(web=present(V1))
    await bench.settle()

    bench.want_only()
    await bench.settle()

    assert bench.status().phase is AppPhase.ORPHANED
    assert bench.cluster.names("web") == {"web", "old"}
    assert bench.told().count("AppOrphaned") == 1


async def test_an_absent_app_is_deleted_and_forgotten_when_central_forgets_it(bench: Bench) -> None:
    bench.want(web=present(V1))
    await bench.settle()
    stuck = next(ref for ref in bench.cluster.live if ref.name == "old")
    bench.cluster.pending_deletes = {stuck}

    bench.want(web=ABSENT)
    await bench.settle()
    assert bench.status().phase is AppPhase.REMOVING
    bench.cluster.pending_deletes = set()
    await bench.settle()
    assert bench.status().phase is AppPhase.REMOVED
    assert bench.cluster.live == {}
    bench.want_only()
    await bench.settle()

    assert bench.loop.statuses() == {}
    assert bench.store.apps.names() == ()
    assert bench.told().count("AppRemoved") == 1


async def test_a_paused_app_is_neither_updated_nor_healed(bench: Bench) -> None:
    bench.want(web=present(V1))
    await bench.settle()
    bench.want(web=paused(V2))
    bench.cluster.live.clear()

    await bench.passes(2, every_s=400)

    assert bench.status().phase is AppPhase.PAUSED
    assert bench.cluster.live == {}
    assert bench.told().count("AppPaused") == 1


async def test_a_pause_on_the_node_survives_a_restart(bench: Bench) -> None:
    bench.store.set_paused(True)
    bench.restart()
    bench.want(web=present(V1))

    await bench.settle()
    assert bench.status().phase is AppPhase.PAUSED
    bench.store.set_paused(False)
    await bench.settle()

    assert bench.status().phase is AppPhase.READY


async def test_another_cluster_gets_everything_anew(bench: Bench) -> None:
    bench.want(web=present(V1))
    await bench.settle()
    bench.cluster.uid, bench.cluster.live = "cluster-2", {}

    await bench.passes(1, every_s=20)
    await bench.settle()

    assert bench.cluster.names("web") == {"web", "old"}
    assert bench.status().phase is AppPhase.READY
    assert bench.told().count("ClusterChanged") == 1


async def test_one_apps_trouble_stops_no_other(bench: Bench) -> None:
    broken = make_release(app="broken", version="2.0.0")
    bench.put(broken)
    bench.cluster.plays["2.0.0"] = pulling()
    bench.want(web=present(V1), broken=present(broken), missing=present(make_release(app="missing")))

    await bench.settle()

    assert bench.status("web").phase is AppPhase.READY
    assert bench.status("broken").phase is AppPhase.PROGRESSING
    assert bench.status("broken").cause == NO_ROUTE
    assert bench.status("missing").phase is AppPhase.FETCHING


@pytest.mark.parametrize("call", ["converge 1.1.0", "apply 1.1.0", "assess 1.1.0", "prune web"])
async def test_a_power_cut_at_any_call_leaves_no_half_state(bench: Bench, call: str) -> None:
    bench.want(web=present(V1))
    await bench.settle()
    bench.cluster.kill_at = call
    bench.want(web=present(V2))
    with pytest.raises(PowerCut):
        await bench.settle()

    bench.restart()
    await bench.settle()

    assert (bench.status().phase, bench.status().last_good_version) == (AppPhase.READY, "1.1.0")
    assert bench.cluster.names("web") == {"web", "new"}
    assert bench.told().count("ReleaseReady") == 2
    sequences = [event.sequence for event in bench.events()]
    assert sequences == list(range(1, len(sequences) + 1))
