"""Operators' actions and what rollouts make of the nodes' answers, on real databases."""

import itertools

import pytest

from central.model import Conflict, NodeOutcome, NotFound, PinRecord, PresenceMark, RolloutRecord
from central.store import assignments, audit, desired, meta, nodes, operations, releases, reports, rollouts
from central.store.database import Database, Transaction
from shared.contracts.api import AppChange, AppRollback, RolloutPhase, RolloutStart
from shared.contracts.desired import AppDesired, AppState
from shared.contracts.status import AppPhase
from tests.builders_central import NOW, app_status, enrol, later, publish, status


class Story:
    """One fleet with an app `web`, told step by step."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ids = (f"r{number}" for number in itertools.count(1))
        self.revisions = itertools.count(1)

    async def start(self, version: str, selector: str = "") -> RolloutRecord:
        request = RolloutStart(app="web", version=version, selector=selector)
        return await self.database.run(lambda tx: operations.start_rollout(tx, request, rollout_id=next(self.ids), actor="ana", at=NOW))

    async def roll_back(self, to: str | None = None) -> tuple[RolloutRecord, ...]:
        request = AppRollback(to=to)
        return await self.database.run(
            lambda tx: operations.rollback_app(tx, "web", request, new_id=lambda: next(self.ids), actor="ana", at=NOW)
        )

    async def report(self, phase: AppPhase, *names: str, seconds: float = 1) -> None:
        wanted = await self.database.read(desired.compose_fleet)
        sent = [status(name, {"web": app_status(phase, wanted[name]["web"])}, revision=next(self.revisions)) for name in names]

        def work(tx: Transaction) -> None:
            nodes.save_presence(tx, [PresenceMark(name, later(seconds)) for name in names])
            reports.save_reports(tx, sent, later(seconds))

        await self.database.run(work)

    async def step(self, seconds: float = 1) -> None:
        await self.database.run(lambda tx: rollouts.advance_running(tx, later(seconds)))

    async def rollout(self, rollout_id: str) -> RolloutRecord:
        return await self.database.read(lambda tx: rollouts.get_rollout(tx, rollout_id))

    async def wanted(self, node: str) -> AppDesired | None:
        return (await self.database.read(desired.compose_fleet))[node].get("web")


@pytest.fixture
async def story(database: Database) -> Story:
    def setup(tx: Transaction) -> None:
        enrol(tx, "pi-north", site="north")
        enrol(tx, "pi-south", site="south")
        for version in ("1.0.0", "1.1.0", "1.2.0"):
            publish(tx, version=version)

    await database.run(setup)
    return Story(database)


async def test_a_rollout_succeeds_when_the_nodes_that_answer_are_ready(story: Story) -> None:
    await story.start("1.0.0")
    await story.report(AppPhase.PROGRESSING, "pi-north")
    await story.step()
    assert (await story.rollout("r1")).phase is RolloutPhase.RUNNING
    await story.report(AppPhase.READY, "pi-north")
    await story.step(2)
    finished = await story.rollout("r1")
    assert (finished.phase, finished.finished_at) == (RolloutPhase.SUCCEEDED, later(2))
    assert {item.node: item.outcome for item in finished.nodes} == {"pi-north": NodeOutcome.READY, "pi-south": NodeOutcome.UNREACHABLE}
    assert "pi-south" in finished.message


async def test_advancing_without_news_writes_nothing(story: Story) -> None:
    await story.start("1.0.0")
    assert len(await story.database.run(lambda tx: rollouts.advance_running(tx, later(1)))) == 1
    assert await story.database.run(lambda tx: rollouts.advance_running(tx, later(2))) == ()


async def test_a_bad_release_fails_its_rollout_and_names_the_cause(story: Story) -> None:
    await story.start("1.0.0")
    wanted = await story.wanted("pi-north")
    bad = app_status(AppPhase.ROLLED_BACK, wanted, cause="CrashLoopBackOff")
    await story.report(AppPhase.PROGRESSING, "pi-north", "pi-south")
    await story.database.run(lambda tx: reports.save_reports(tx, [status("pi-north", {"web": bad}, revision=99)], later(1)))
    await story.step()
    assert (await story.rollout("r1")).phase is RolloutPhase.RUNNING
    await story.report(AppPhase.READY, "pi-south")
    await story.step()
    finished = await story.rollout("r1")
    assert finished.phase is RolloutPhase.FAILED
    assert "pi-north (CrashLoopBackOff)" in finished.message


async def test_rollback_after_nodes_went_back_alone_takes_one_step_and_not_two(story: Story) -> None:
    for version in ("1.0.0", "1.1.0"):
        await story.start(version)
        await story.report(AppPhase.READY, "pi-north", "pi-south")
        await story.step()
    await story.start("1.2.0")
    await story.report(AppPhase.ROLLED_BACK, "pi-north", "pi-south")
    await story.step()
    (back,) = await story.roll_back()
    assert (back.version, back.kind, back.previous_version) == ("1.1.0", "rollback", "1.2.0")
    with pytest.raises(Conflict, match=r"already rolled back to 1\.1\.0.*--to 1\.0\.0"):
        await story.roll_back()
    (further,) = await story.roll_back(to="1.0.0")
    assert further.version == "1.0.0"
    wanted = await story.wanted("pi-north")
    assert wanted is not None
    assert wanted.release is not None
    assert wanted.release.version == "1.0.0"


async def test_the_first_release_of_an_app_has_nothing_to_go_back_to(story: Story) -> None:
    await story.start("1.0.0")
    await story.report(AppPhase.FAILED, "pi-north")
    await story.step()
    with pytest.raises(Conflict, match=r"no release was verified before 1\.0\.0"):
        await story.roll_back()


async def test_trying_the_same_release_again_raises_the_attempt_so_old_reports_do_not_count(story: Story) -> None:
    await story.start("1.0.0")
    await story.report(AppPhase.FAILED, "pi-north", "pi-south")
    await story.step()
    again = await story.start("1.0.0")
    await story.step()
    assert again.attempt == 2
    assert {item.outcome for item in (await story.rollout("r2")).nodes} == {NodeOutcome.PROGRESSING}


async def test_a_newer_rollout_of_the_same_assignment_supersedes(story: Story) -> None:
    await story.start("1.0.0", "site==north")
    await story.start("1.1.0", "site in (north)")
    await story.step()
    old, new = await story.rollout("r1"), await story.rollout("r2")
    assert (old.phase, new.phase) == (RolloutPhase.SUPERSEDED, RolloutPhase.RUNNING)
    assert "r2" in old.message
    (standing,) = await story.database.read(lambda tx: assignments.list_assignments(tx, "web"))
    assert (standing.selector, standing.version, standing.previous_version) == ("site=north", "1.1.0", "1.0.0")


async def test_a_node_added_later_gets_what_its_labels_say(story: Story) -> None:
    await story.start("1.0.0", "site=north")
    await story.database.run(lambda tx: operations.enrol_node(tx, "pi-late", {"site": "north"}, "h", actor="ana", at=NOW))
    wanted = await story.wanted("pi-late")
    assert wanted is not None
    assert wanted.release is not None
    assert wanted.release.version == "1.0.0"
    await story.database.run(lambda tx: operations.relabel_node(tx, "pi-late", {"site": None}, actor="ana", at=NOW))
    assert await story.wanted("pi-late") is None


async def test_pause_keeps_and_resume_restores_what_stood(story: Story) -> None:
    await story.start("1.0.0")
    before = await story.wanted("pi-north")
    await story.database.run(lambda tx: operations.pause_app(tx, "web", AppChange(selector="site=north"), actor="ana", at=NOW))
    paused, other = await story.wanted("pi-north"), await story.wanted("pi-south")
    assert paused is not None
    assert other is not None
    assert (paused.state, other.state) == (AppState.PAUSED, AppState.PRESENT)
    with pytest.raises(NotFound, match="site=north"):
        await story.database.run(lambda tx: operations.resume_app(tx, "web", AppChange(selector="site=x"), actor="ana", at=NOW))
    await story.database.run(lambda tx: operations.resume_app(tx, "web", AppChange(), actor="ana", at=NOW))
    assert await story.wanted("pi-north") == before


async def test_remove_is_absent_everywhere_or_where_labels_match_and_ends_the_rollout(story: Story) -> None:
    await story.start("1.0.0")
    await story.database.run(lambda tx: operations.remove_app(tx, "web", AppChange(selector="site=north"), actor="ana", at=NOW))
    north, south = await story.wanted("pi-north"), await story.wanted("pi-south")
    assert north is not None
    assert south is not None
    assert (north.state, south.state) == (AppState.ABSENT, AppState.PRESENT)
    await story.database.run(lambda tx: operations.remove_app(tx, "web", AppChange(), actor="ana", at=NOW))
    await story.step()
    south = await story.wanted("pi-south")
    assert south is not None
    assert south.state is AppState.ABSENT
    assert (await story.rollout("r1")).phase is RolloutPhase.SUPERSEDED
    with pytest.raises(Conflict, match="is removed everywhere"):
        await story.roll_back()
    back = await story.start("1.0.0")
    assert back.attempt == 2


async def test_unknown_things_are_named_and_change_nothing(story: Story) -> None:
    with pytest.raises(NotFound, match="nothing is published of this app"):
        await story.database.run(
            lambda tx: operations.start_rollout(tx, RolloutStart(app="web2", version="1.0.0"), rollout_id="x", actor="ana", at=NOW)
        )
    with pytest.raises(NotFound, match=r"published are: .*1\.0\.0"):
        await story.start("9.9.9")
    with pytest.raises(NotFound, match="is not assigned to any node"):
        await story.database.run(lambda tx: operations.pause_app(tx, "web", AppChange(), actor="ana", at=NOW))
    with pytest.raises(NotFound, match="no such rollout"):
        await story.rollout("none")
    assert await story.database.read(rollouts.list_rollouts) == ()


async def test_an_operators_action_ends_the_apps_pins_and_is_audited(story: Story) -> None:
    await story.start("1.0.0")
    pin = PinRecord("pi-north", "web", None, NOW, "restored")
    await story.database.run(lambda tx: assignments.save_pins(tx, [pin]))
    assert await story.wanted("pi-north") is None
    await story.start("1.1.0")
    assert await story.wanted("pi-north") is not None
    lines = await story.database.read(lambda tx: audit.list_audit(tx, limit=1_000))
    assert [line.action for line in lines][-3:] == ["rollout.start", "pins.clear", "rollout.start"]
    assert lines[-1].details["previous"] == "1.0.0"


async def test_a_central_that_was_away_waits_for_nodes_it_knew_before_it_calls_them_unreachable(story: Story) -> None:
    await story.start("1.0.0")
    await story.report(AppPhase.PROGRESSING, "pi-north", "pi-south")
    await story.database.run(lambda tx: meta.note_listening(tx, later(10_000)))
    await story.report(AppPhase.READY, "pi-north", seconds=10_001)
    await story.step(10_002)
    assert (await story.rollout("r1")).phase is RolloutPhase.RUNNING
    await story.step(10_100)
    assert (await story.rollout("r1")).phase is RolloutPhase.SUCCEEDED


async def test_history_is_newest_first_and_bounded(story: Story) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        await story.start(version)
    listed = await story.database.read(lambda tx: rollouts.list_rollouts(tx, "web", limit=2))
    assert [item.version for item in listed] == ["1.2.0", "1.1.0"]
    assert await story.database.read(lambda tx: rollouts.list_rollouts(tx, "other")) == ()


async def test_odd_texts_of_a_node_are_stored_all_the_same(story: Story) -> None:
    await story.start("1.0.0")
    wanted = await story.wanted("pi-north")
    odd = app_status(AppPhase.FAILED, wanted, cause="X", running="v" * 500).model_copy(update={"message": "a\x00b" * 2_000})

    def work(tx: Transaction) -> None:
        nodes.save_presence(tx, [PresenceMark("pi-north", later(1), "b\x00" * 200, 1e300)])
        reports.save_reports(tx, [status("pi-north", {"web": odd})], later(1))

    await story.database.run(work)
    await story.step()
    assert (await story.rollout("r1")).phase is RolloutPhase.FAILED
    assert (await story.database.read(releases.counts_by_release)).popitem()[1].nodes_failed == 1
