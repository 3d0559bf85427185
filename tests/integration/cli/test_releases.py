"""`munbon release` against a real central: what an operator publishes is what she sees again."""

from __future__ import annotations

import pytest

from deploy.harness.apps import config_map, web_app
from tests.integration.cli.conftest import Fleet

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_file_is_published_and_shown(fleet: Fleet) -> None:
    path = fleet.write_objects("from-file.yaml", web_app("from-file", "1.0.0"))
    said = await fleet.says("release", "publish", str(path), "--app", "from-file", "--version", "1.0.0")
    assert said.startswith("Published from-file@1.0.0: 3 objects, ")
    assert "Next: munbon rollout start from-file@1.0.0 --wait" in said
    shown = await fleet.operator.ask("release", "show", "from-file@1.0.0")
    assert shown["images"] == ["docker.io/munbon/gate-ui:1.0.0"]
    assert shown["release"]["objects_count"] == 3
    people_see = dict(line.split("  ", 1) for line in (await fleet.says("release", "show", "from-file@1.0.0")).splitlines())
    assert people_see["Release digest"].strip() == shown["release_digest"]
    assert people_see["Objects"].strip().startswith("3 in namespace default")
    assert people_see["Published"].strip().endswith("by dev-operator")


async def test_the_same_content_again_is_no_error_and_says_so(fleet: Fleet) -> None:
    await fleet.publish_small("again", "1.0.0")
    said = await fleet.says("release", "publish", str(fleet.folder / "again-1.0.0.yaml"), "--app", "again", "--version", "1.0.0")
    assert said.startswith("Published before, with the same content: again@1.0.0")


async def test_a_folder_is_one_release_in_the_namespace_that_is_named(fleet: Fleet) -> None:
    first = config_map("first", {"a": "1"})
    del first["metadata"]["namespace"]
    fleet.write_objects("folder/a.yaml", [first])
    fleet.write_objects("folder/b.yml", [config_map("second", {"b": "2"}, namespace="elsewhere")])
    fleet.write("folder/notes.txt", "no YAML: left alone")
    view = await fleet.operator.publish(fleet.folder / "folder", "folder", "1.0.0", "--namespace", "canal")
    assert (view["objects_count"], view["namespace"]) == (2, "canal")


async def test_a_kustomize_folder_is_built_first(fleet: Fleet) -> None:
    fleet.write_objects("kustomized/web.yaml", web_app("kustomized", "1.0.0"))
    fleet.write("kustomized/kustomization.yaml", "resources: [web.yaml]\nimages: [{name: docker.io/munbon/gate-ui, newTag: 7.7.7}]\n")
    view = await fleet.operator.publish(fleet.folder / "kustomized", "kustomized", "1.0.0")
    assert (view["objects_count"], view["images"]) == (3, ["docker.io/munbon/gate-ui:7.7.7"])


async def test_a_dry_run_sends_nothing(fleet: Fleet) -> None:
    path = fleet.write_objects("dry.yaml", [config_map("dry", {"a": "1"})])
    before = await fleet.stands()
    words = ["release", "publish", str(path), "--app", "dry", "--version", "1.0.0", "--dry-run"]
    assert "dry@1.0.0 would be published: 1 objects" in await fleet.says(*words)
    assert (await fleet.operator.ask(*words))["app"] == "dry"
    assert await fleet.stands() == before


async def test_secrets_pass_with_the_flag_and_a_key_that_stands_twice_is_told(fleet: Fleet) -> None:
    twice = "apiVersion: v1\nkind: Secret\nmetadata: {name: pass}\nstringData: {a: one, a: two}\n"
    words = ["release", "publish", str(fleet.write("pass.yaml", twice)), "--app", "pass", "--version", "1.0.0", "--allow-secrets"]
    outcome = await fleet.operator.run(*words)
    assert outcome.output.startswith("Published pass@1.0.0: 1 object")
    assert "key 'a' stands twice; the last one counts" in outcome.errors


async def test_the_list_has_the_newest_first_and_can_be_of_one_app(fleet: Fleet) -> None:
    await fleet.publish_small("listed", "1.0.0", "1.1.0")
    views = await fleet.operator.ask("release", "list", "--app", "listed")
    assert [view["version"] for view in views] == ["1.1.0", "1.0.0"]
    everything = await fleet.operator.ask("release", "list")
    assert len(everything) > len(views)
    assert everything[:2] == views
    heading, first, second = (await fleet.says("release", "list", "--app", "listed")).splitlines()
    assert heading.split() == ["APP", "VERSION", "DIGEST", "OBJECTS", "READY", "FAILED", "AGE", "BY"]
    assert first.split()[:4] == ["listed", "1.1.0", views[0]["release_digest"][:12], "1"]
    assert second.split()[1] == "1.0.0"
