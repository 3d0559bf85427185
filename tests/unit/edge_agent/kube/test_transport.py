"""What is tried again, what is not, and what an error says (kubernetes.md 6)."""

from pathlib import Path
from typing import Any

import pytest

from edge_agent.kube.client import JSON_PATCH, KubeClient
from edge_agent.kube.discovery import ResourceKind
from edge_agent.kube.errors import KubeConflict, KubeError, KubeExpired, KubeNotFound, KubeRefused, KubeUnavailable, error_from
from edge_agent.kube.transport import MOST_RETRIES
from shared.errors import Permanent, Retryable
from tests.unit.edge_agent.kube.conftest import Stub, hangs_up, refuses, says

CONFIG_MAP = ResourceKind("", "v1", "ConfigMap", "configmaps", True)
MANIFEST = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "shop"}}


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, KubeRefused, False),
        (401, KubeUnavailable, True),
        (403, KubeRefused, False),
        (404, KubeNotFound, False),
        (409, KubeConflict, False),
        (410, KubeExpired, True),
        (422, KubeRefused, False),
        (429, KubeUnavailable, True),
        (500, KubeUnavailable, True),
        (503, KubeUnavailable, True),
    ],
)
async def test_every_error_status_raises_and_its_type_says_whether_to_try_again(
    stub: Stub, status: int, kind: type[KubeError], retryable: bool
) -> None:
    stub.answers = [refuses(status, "Because", "it is so")]
    kube = await stub.client()
    with pytest.raises(kind) as caught:
        await kube.apply(CONFIG_MAP, MANIFEST, force=False)
    error = caught.value
    assert isinstance(error, Retryable) is retryable
    assert isinstance(error, Permanent) is not retryable
    assert (error.status, error.reason, error.message, error.subject) == (status, "Because", "it is so", "ConfigMap shop/settings")


def test_an_apply_that_can_never_succeed_is_permanent_though_the_server_says_500() -> None:
    message = "failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): .spec.replikas: field not declared in schema"
    assert isinstance(error_from(500, {"message": message}, "x"), KubeRefused)


def test_a_long_message_keeps_its_end_where_the_reason_stands() -> None:
    error = error_from(422, {"message": "spec.template: Invalid value: " + "x" * 9_000 + ": field is immutable"}, "Job shop/migrate")
    assert len(error.message) < 1_600
    assert error.message.startswith("spec.template")
    assert error.message.endswith("field is immutable")


async def test_a_plain_text_error_is_understood_too(stub: Stub) -> None:
    async def text(request: Any) -> Any:
        from aiohttp import web

        return web.Response(status=403, text="Forbidden by a proxy")

    stub.answers = [text]
    kube = await stub.client()
    with pytest.raises(KubeRefused, match="Forbidden by a proxy"):
        await kube.list(CONFIG_MAP)


async def test_an_overloaded_server_is_asked_again_after_the_time_it_names(stub: Stub) -> None:
    stub.answers = [
        refuses(429, "TooManyRequests", "slow down", **{"Retry-After": "3"}),
        refuses(503, "", "soon"),
        says(200, {"items": []}),
    ]
    kube = await stub.client()
    assert (await kube.list(CONFIG_MAP)).items == ()
    assert len(stub.asked) == 3
    assert stub.clock.slept_s[0] >= 3


async def test_a_wait_longer_than_ten_seconds_is_left_to_the_caller(stub: Stub) -> None:
    stub.answers = [refuses(429, "TooManyRequests", "much later", **{"Retry-After": "60"})]
    kube = await stub.client()
    with pytest.raises(KubeUnavailable) as caught:
        await kube.list(CONFIG_MAP)
    assert caught.value.delay_s == 60
    assert len(stub.asked) == 1


async def test_a_cut_connection_repeats_what_may_be_repeated(stub: Stub) -> None:
    stub.answers = [hangs_up, says(200, MANIFEST)]
    kube = await stub.client()
    assert (await kube.apply(CONFIG_MAP, MANIFEST, force=True)).created is False
    assert len(stub.asked) == 2


async def test_a_json_patch_is_never_sent_twice(stub: Stub) -> None:
    stub.answers = [hangs_up, says(200, MANIFEST)]
    kube = await stub.client()
    with pytest.raises(KubeUnavailable):
        await kube.patch(CONFIG_MAP, "shop", "settings", [], JSON_PATCH)
    assert len(stub.asked) == 1


async def test_retries_end(stub: Stub) -> None:
    stub.answers = [hangs_up]
    kube = await stub.client()
    with pytest.raises(KubeUnavailable, match="is K3s running"):
        await kube.list(CONFIG_MAP)
    assert MOST_RETRIES < len(stub.asked) <= 2 * (MOST_RETRIES + 1), "the connection pool itself may try a GET once more"


async def test_a_server_that_is_away_is_not_waited_for(stub: Stub, tmp_path: Path) -> None:
    stub.url = "http://127.0.0.1:9"
    kube = await stub.client()
    with pytest.raises(KubeUnavailable) as caught:
        await kube.list(CONFIG_MAP)
    assert stub.clock.slept_s == []
    assert caught.value.reason == "NoAnswer"


async def test_new_credentials_in_the_kubeconfig_are_used_when_the_old_ones_are_refused(stub: Stub) -> None:
    stub.answers = [refuses(401, "Unauthorized", "Unauthorized"), says(200, {"items": []})]
    kube = await stub.client()
    stub.write_kubeconfig(token="renewed")
    await kube.list(CONFIG_MAP)
    assert [request.headers["Authorization"] for request in stub.asked] == ["Bearer secret", "Bearer renewed"]


async def test_refused_credentials_that_did_not_change_are_an_error_at_once(stub: Stub) -> None:
    stub.answers = [refuses(401, "Unauthorized", "Unauthorized")]
    kube = await stub.client()
    with pytest.raises(KubeUnavailable, match="credentials"):
        await kube.list(CONFIG_MAP)
    assert len(stub.asked) == 1


async def test_who_asks_is_said_and_how(stub: Stub) -> None:
    stub.answers = [says(201, MANIFEST)]
    kube = await stub.client()
    applied = await kube.apply(CONFIG_MAP, MANIFEST, force=True, dry_run=True)
    assert applied.created
    [request] = stub.asked
    assert request.headers["User-Agent"] == "munbon-agent"
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert dict(request.query) == {"fieldManager": "munbon", "fieldValidation": "Strict", "force": "true", "dryRun": "All"}
    assert request.path == "/api/v1/namespaces/shop/configmaps/settings"
    assert (kube.requests_sent, kube.writes_sent) == (1, 0)


async def test_a_long_list_is_read_in_pages(stub: Stub) -> None:
    page = {"items": [{"metadata": {"name": "a"}}], "metadata": {"continue": "more", "resourceVersion": "5"}}
    stub.answers = [says(200, page), says(200, {"items": [{"metadata": {"name": "b"}}], "metadata": {"resourceVersion": "5"}})]
    kube = await stub.client()
    listing = await kube.list(CONFIG_MAP, "shop", label_selector="a=b", metadata_only=True)
    assert [item["metadata"]["name"] for item in listing.items] == ["a", "b"]
    assert listing.resource_version == "5"
    assert stub.asked[1].query["continue"] == "more"
    assert "PartialObjectMetadataList" in stub.asked[0].headers["Accept"]


async def test_a_delete_names_the_uid_and_tells_whether_the_object_is_gone(stub: Stub) -> None:
    stub.answers = [
        says(200, {"metadata": {"deletionTimestamp": "now"}}),
        says(200, {"kind": "Status", "status": "Success"}),
        refuses(404, "NotFound", "gone"),
    ]
    kube = await stub.client()
    gone = [await kube.delete(CONFIG_MAP, "shop", "settings", uid="u1") for _ in range(3)]
    assert gone == [False, True, True]
    assert b'"preconditions":{"uid":"u1"}' in stub.bodies[0]


async def test_a_broken_or_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeUnavailable, match=r"kubeconfig .*missing"):
        await KubeClient.open(tmp_path / "missing")
    broken = tmp_path / "broken"
    broken.write_text("current-context: [")
    with pytest.raises(KubeUnavailable, match=r"agent\.toml"):
        await KubeClient.open(broken)
