"""What an operator does all day: publish, roll out, look, pause, go back."""

from tests.fixtures_api import CONFIG_MAP, RunningApi, make_release, seal


async def test_a_signed_release_is_recorded_with_who_signed_and_who_published_it(api: RunningApi) -> None:
    answer = await api.publish("weather", "1.0.0")
    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert view["published_by"] == "dev-operator"
    assert view["signed_by"] == [api.identity.operator.keyid]
    assert view["release"]["app"] == "weather"
    listed = (await api.client.get("releases", params={"app": "weather"})).json()
    assert [item["version"] for item in listed] == ["1.0.0"]
    assert (await api.client.get("releases/weather/1.0.0")).json()["release_digest"] == view["release_digest"]


async def test_publishing_the_same_content_again_is_no_error_and_no_second_audit_line(api: RunningApi) -> None:
    first = await api.publish("weather", "1.0.0")
    lines = await api.audit_lines()
    again = await api.publish("weather", "1.0.0")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["release_digest"] == again.json()["release_digest"]
    assert await api.audit_lines() == lines


async def test_a_rollout_names_its_nodes_at_once_and_stands_for_later_ones(api: RunningApi) -> None:
    await api.publish("weather", "1.0.0")
    for node, canal in (("pi-1", "north"), ("pi-2", "south")):
        (await api.client.post("nodes", json={"node": node, "labels": {"canal": canal}})).raise_for_status()
    answer = await api.client.post("rollouts", json={"app": "weather", "version": "1.0.0", "selector": "canal=north", "reason": "first"})
    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert [row["node"] for row in view["nodes"]] == ["pi-1"]
    assert (view["total"], view["unreachable"]) == (1, 1)
    [standing] = (await api.client.get("assignments", params={"app": "weather"})).json()
    assert (standing["selector"], standing["version"], standing["nodes"]) == ("canal=north", "1.0.0", 1)
    await api.client.patch("nodes/pi-2/labels", json={"labels": {"canal": "north"}})
    [standing] = (await api.client.get("assignments", params={"app": "weather"})).json()
    assert standing["nodes"] == 2


async def test_a_selector_that_matches_no_node_is_allowed_and_said(api: RunningApi) -> None:
    await api.publish("weather", "1.0.0")
    view = (await api.client.post("rollouts", json={"app": "weather", "version": "1.0.0", "selector": "canal=none"})).json()
    assert view["phase"] == "Running"
    assert "no node" in view["message"]


async def test_the_same_version_again_is_a_new_attempt_and_ends_the_rollout_that_ran(api: RunningApi) -> None:
    await api.publish("weather", "1.0.0")
    await api.client.post("nodes", json={"node": "pi-1"})
    body = {"app": "weather", "version": "1.0.0"}
    first = (await api.client.post("rollouts", json=body)).json()
    await api.client.post("rollouts", json=body)
    [standing] = (await api.client.get("assignments")).json()
    assert standing["attempt"] == 2
    assert (await api.client.get(f"rollouts/{first['rollout_id']}")).json()["phase"] == "Superseded"
    assert len((await api.client.get("rollouts", params={"app": "weather"})).json()) == 2


async def test_pause_resume_and_remove_say_what_stands_then(api: RunningApi) -> None:
    await api.publish("weather", "1.0.0")
    await api.client.post("rollouts", json={"app": "weather", "version": "1.0.0"})
    states = []
    for action in ("pause", "resume", "remove"):
        answer = await api.client.post(f"apps/weather/{action}", json={"reason": "test"})
        assert answer.status_code == 200, answer.text
        states.append([item["state"] for item in answer.json()])
    assert states == [["paused"], ["present"], ["absent"]]


async def test_rollback_to_a_named_version_is_a_rollout_of_its_own(api: RunningApi) -> None:
    for version, word in (("1.0.0", "one"), ("1.1.0", "two")):
        await api.publish("weather", version, objects=[{**CONFIG_MAP, "data": {"greeting": word}}])
        await api.client.post("rollouts", json={"app": "weather", "version": version})
    answer = await api.client.post("apps/weather/rollback", json={"to": "1.0.0", "reason": "too warm"})
    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert (view["kind"], view["version"], view["previous_version"]) == ("rollback", "1.0.0", "1.1.0")


async def test_every_change_has_one_audit_line_with_the_tokens_name(api: RunningApi) -> None:
    await api.publish("weather", "1.0.0")
    await api.client.post("nodes", json={"node": "pi-1"})
    await api.client.post("rollouts", json={"app": "weather", "version": "1.0.0"})
    lines = (await api.client.get("audit")).json()
    assert [line["action"] for line in lines] == ["release.publish", "node.add", "rollout.start"]
    assert {line["actor"] for line in lines} == {"dev-operator"}
    assert (await api.client.get("audit", params={"after": lines[1]["number"]})).json() == lines[2:]


async def test_a_release_whose_blob_was_not_uploaded_is_not_recorded(api: RunningApi) -> None:
    release, _ = make_release("weather", "1.0.0")
    answer = await api.client.post("releases", json={"envelope": seal(release, api.identity.operator)})
    assert answer.status_code == 404
    assert "not uploaded" in answer.json()["message"]
