"""Bad input: a clear error that names what, where and what to do; and nothing changed."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from shared.contracts.limits import MAX_BLOB_BYTES
from shared.signing.digests import sha256_hex
from shared.signing.keys import generate_signer
from tests.fixtures_api import CONFIG_MAP, RunningApi, make_plan, make_release, seal

MIB = 1024 * 1024


def check_problem(answer: httpx.Response, status: int, code: str, *words: str) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert answer.status_code == status, answer.text
    assert problem["code"] == code
    for word in words:
        assert word in problem["message"], problem
    assert "Traceback" not in answer.text
    return problem


async def chunks(total: int) -> AsyncIterator[bytes]:
    for _ in range(total // MIB):
        yield bytes(MIB)


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_100_mb_upload_is_refused_with_limit_and_size(api: RunningApi, chunked: bool) -> None:
    digest = "0" * 64
    body: Any = chunks(100 * MIB) if chunked else bytes(100 * MIB)
    answer = await api.client.put(f"blobs/{digest}", content=body)
    check_problem(answer, 413, "TooLarge", str(MAX_BLOB_BYTES), str(100 * MIB), "blob")
    assert (await api.client.get("whoami")).status_code == 200


async def test_a_client_that_waits_for_continue_is_answered_before_it_sends_anything(api: RunningApi) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rsplit(":", 1)[1]))
    head = (
        f"PUT /v1/blobs/{'0' * 64} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.identity.operator_token}\r\n"
        f"Content-Length: {100 * MIB}\r\nExpect: 100-continue\r\n\r\n"
    )
    writer.write(head.encode())
    async with asyncio.timeout(10):
        assert b" 413 " in await reader.readline()
    writer.close()


async def test_json_over_its_limit_is_refused(api: RunningApi) -> None:
    answer = await api.client.post("releases", json={"envelope": {"payload": "x" * MIB}})
    check_problem(answer, 413, "TooLarge", "request body")


async def test_a_blob_that_is_not_what_its_digest_says_is_refused(api: RunningApi) -> None:
    check_problem(await api.client.put(f"blobs/{'0' * 64}", content=b"something"), 422, "DigestMismatch", sha256_hex(b"something"))
    check_problem(await api.client.put(f"blobs/{sha256_hex(b'')}", content=b""), 400, "BadInput", "empty")
    check_problem(await api.client.put("blobs/xyz", content=b"something"), 400, "BadInput", "digest")


async def test_a_published_version_is_immutable(api: RunningApi) -> None:
    await api.publish("weather", "1.0.0")
    lines = await api.audit_lines()
    answer = await api.publish("weather", "1.0.0", objects=[{**CONFIG_MAP, "data": {"greeting": "other"}}])
    problem = check_problem(answer, 409, "Immutable", "weather@1.0.0")
    assert "new version" in problem["remedy"]
    assert await api.audit_lines() == lines


async def test_a_release_signed_by_a_stranger_or_by_central_is_refused(api: RunningApi) -> None:
    for signer in (generate_signer(), api.identity.central):
        answer = await api.publish("weather", "1.0.0", signer=signer)
        check_problem(answer, 422, "SignatureInvalid", "release")
    assert (await api.client.get("releases")).json() == []
    assert await api.audit_lines() == 0


async def test_a_release_changed_after_signing_is_refused(api: RunningApi) -> None:
    release, blob = make_release("weather", "1.0.0")
    await api.client.put(f"blobs/{sha256_hex(blob)}", content=blob)
    good, other = seal(release, api.identity.operator), seal(release.model_copy(update={"version": "6.6.6"}), generate_signer())
    answer = await api.client.post("releases", json={"envelope": {**good, "payload": other["payload"]}})
    check_problem(answer, 422, "SignatureInvalid")


async def test_an_unsigned_release_is_refused(api: RunningApi) -> None:
    release, _ = make_release("weather", "1.0.0")
    envelope = {**seal(release, api.identity.operator), "signatures": []}
    check_problem(await api.client.post("releases", json={"envelope": envelope}), 422, "Malformed", "signatures")


async def test_an_unknown_critical_feature_is_refused_by_name(api: RunningApi) -> None:
    answer = await api.publish("weather", "1.0.0", changes={"critical": ("levitation",)})
    check_problem(answer, 422, "UnsupportedFeature", "levitation")


async def test_a_gate_plan_is_no_release(api: RunningApi) -> None:
    answer = await api.client.post("releases", json={"envelope": seal(make_plan(), api.identity.operator)})
    check_problem(answer, 422, "Malformed", "payload type")


@pytest.mark.parametrize(
    ("objects", "word"),
    [
        ([{"apiVersion": "v1", "metadata": {"name": "x"}}], "kind"),
        ([CONFIG_MAP, CONFIG_MAP], "ConfigMap"),
        ([{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}}], "Secret"),
    ],
)
async def test_objects_that_break_a_rule_are_refused_and_named(api: RunningApi, objects: list[dict[str, Any]], word: str) -> None:
    problem = check_problem(await api.publish("weather", "1.0.0", objects=objects), 422, "PolicyRefused", word)
    assert problem["details"]["findings"][0]["reason"]
    assert (await api.client.get("releases")).json() == []


async def test_content_that_is_not_what_the_release_says_is_refused(api: RunningApi) -> None:
    answer = await api.publish("weather", "1.0.0", changes={"content_digest": "0" * 64})
    check_problem(answer, 422, "DigestMismatch", "weather@1.0.0")


async def test_unknown_app_version_node_and_rollout_are_named(api: RunningApi) -> None:
    start = {"app": "weather", "version": "9.9.9"}
    check_problem(await api.client.post("rollouts", json=start), 404, "NotFound", "weather")
    await api.publish("weather", "1.0.0")
    problem = check_problem(await api.client.post("rollouts", json=start), 404, "NotFound", "weather@9.9.9")
    assert "1.0.0" in problem["remedy"]
    check_problem(await api.client.get("releases/weather/9.9.9"), 404, "NotFound", "weather@9.9.9")
    check_problem(await api.client.get("releases", params={"app": "wether"}), 404, "NotFound", "wether")
    for path in ("nodes/pi-9", "nodes/pi-9/events", "nodes/pi-9/events/stream"):
        check_problem(await api.client.get(path), 404, "NotFound", "pi-9")
    check_problem(await api.client.patch("nodes/pi-9/labels", json={"labels": {"a": "b"}}), 404, "NotFound", "pi-9")
    check_problem(await api.client.delete("nodes/pi-9"), 404, "NotFound", "pi-9")
    for path in ("rollouts/none", "rollouts/none/stream"):
        check_problem(await api.client.get(path), 404, "NotFound", "none")
    check_problem(await api.client.post("apps/wether/pause", json={}), 404, "NotFound", "wether")
    check_problem(await api.client.get("gates/atlantis"), 404, "NotFound", "atlantis")
    check_problem(await api.client.get("gates/atlantis/plan"), 404, "NotFound", "atlantis")
    assert (await api.client.get("assignments")).json() == []


@pytest.mark.parametrize("name", ["", "Pi-North", "pi.north", "pi_north", "a" * 64, "pi north", "pi>", "*", "pi-north\n", "central"])
async def test_a_node_name_outside_the_pattern_or_taken_by_central_is_refused(api: RunningApi, name: str) -> None:
    check_problem(await api.client.post("nodes", json={"node": name}), 400, "BadInput", "node")
    assert (await api.client.get("nodes")).json() == []


async def test_bad_selectors_versions_and_labels_are_named(api: RunningApi) -> None:
    await api.publish("weather", "1.0.0")
    body = {"app": "weather", "version": "1.0.0", "selector": "canal in (north"}
    check_problem(await api.client.post("rollouts", json=body), 400, "BadInput", "selector")
    check_problem(await api.client.get("nodes", params={"selector": "=="}), 400, "BadInput", "selector")
    check_problem(await api.client.post("rollouts", json={"app": "weather", "version": "one"}), 400, "BadInput", "version")
    check_problem(await api.client.post("nodes", json={"node": "pi-1", "labels": {"canal": "no/rth"}}), 400, "BadInput", "canal")
    assert (await api.client.get("assignments")).json() == []


async def test_a_misspelt_field_is_an_error_and_not_forgotten(api: RunningApi) -> None:
    body = {"app": "weather", "version": "1.0.0", "selektor": "canal=north"}
    check_problem(await api.client.post("rollouts", json=body), 400, "BadInput", "selektor")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"nonsense", b'{"app": NaN}', b"\xff\xfe"])
async def test_a_body_that_is_no_json_object_is_refused(api: RunningApi, body: bytes) -> None:
    answer = await api.client.post("rollouts", content=body, headers={"Content-Type": "application/json"})
    check_problem(answer, 400, "BadInput")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic dXNlcjpwYXNz", "Bearer " + "x" * 5000])
async def test_a_wrong_token_is_refused_before_the_body_is_read(api: RunningApi, header: str) -> None:
    async with httpx.AsyncClient(base_url=f"{api.url}/v1/", trust_env=False) as stranger:
        for method, path in (("GET", "status"), ("POST", "rollouts"), ("PUT", f"blobs/{'0' * 64}"), ("GET", "nowhere")):
            answer = await stranger.request(method, path, headers={"Authorization": header} if header else {}, content=b"x" * 1000)
            check_problem(answer, 401, "Unauthorised", "token")
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_unknown_paths_and_methods_are_answered_as_problems(api: RunningApi) -> None:
    check_problem(await api.client.get("nowhere"), 404, "UnknownPath", "/v1/nowhere")
    check_problem(await api.client.put("status"), 405, "MethodNotAllowed", "PUT")
    check_problem(await api.client.get(f"{api.url}/"), 404, "UnknownPath")


async def test_an_unexpected_error_shows_an_id_and_no_traceback(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_arguments: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr("central.api.queries.read_status", explode)
    answer = await api.client.get("status")
    problem = check_problem(answer, 500, "InternalError")
    assert problem["details"]["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text


async def test_a_store_that_is_away_is_said_with_when_to_come_again(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    from central.store.errors import StoreUnavailable

    def lock(*_arguments: object) -> None:
        raise StoreUnavailable("is locked", subject="database")

    monkeypatch.setattr("central.api.queries.read_status", lock)
    answer = await api.client.get("status")
    check_problem(answer, 503, "Unavailable", "locked")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("raw", [b'{"objects": 1}', b"[1]", b"[{}", b'[],"more":[]', json.dumps([CONFIG_MAP], indent=1).encode()])
async def test_a_blob_that_holds_no_canonical_list_of_objects_is_refused(api: RunningApi, raw: bytes) -> None:
    from shared.signing.digests import pack_blob

    blob = pack_blob(raw)
    await api.client.put(f"blobs/{sha256_hex(blob)}", content=blob)
    sizes = {
        "blob_digest": sha256_hex(blob),
        "blob_size_bytes": len(blob),
        "content_digest": sha256_hex(raw),
        "content_size_bytes": len(raw),
    }
    release, _ = make_release("weather", "1.0.0", changes=sizes)
    answer = await api.client.post("releases", json={"envelope": seal(release, api.identity.operator)})
    check_problem(answer, 422, "Malformed", "objects")


async def test_figures_and_characters_that_no_database_can_keep_are_refused(api: RunningApi) -> None:
    await api.client.post("nodes", json={"node": "pi-1"})
    check_problem(await api.client.get("nodes/pi-1/events", params={"after": 10**30}), 400, "BadInput", "after")
    check_problem(await api.client.get("audit", params={"after": 2**63}), 400, "BadInput", "after")
    check_problem(await api.client.get("nodes/pi-1/events", params={"limit": 0}), 400, "BadInput", "limit")
    check_problem(await api.client.get("rollouts/a%00b"), 400, "BadInput", "rollout_id")
    check_problem(await api.client.get("releases/a%00b/1.0.0"), 400, "BadInput", "app")
    check_problem(await api.client.get("nodes/a%00b"), 400, "BadInput", "node")
    check_problem(await api.client.post("apps/weather/pause", json={"reason": "a\x00b"}), 400, "BadInput", "NUL")
