"""What a refusal means, and whom it blames."""

from typing import Any

import pytest

from edge_agent.apply import causes
from edge_agent.kube.errors import error_from, no_answer
from edge_agent.observe.targets import Unserved
from shared.contracts.event import ObjectRef

REF = ObjectRef(group="apps", kind="Deployment", namespace="shop", name="web")


@pytest.mark.parametrize(
    ("status", "message", "code", "blames"),
    [
        (400, "strict decoding error: unknown field", "Refused", "release"),
        (400, 'admission webhook "x" does not support dry run', "WebhookUnavailable", "world"),
        (403, 'pods "web" is forbidden: exceeded quota: small', "Forbidden", "release"),
        (403, 'admission webhook "policy" denied the request', "Forbidden", "release"),
        (403, 'User "system:node" cannot patch resource', "Forbidden", "world"),
        (404, 'namespaces "shop" not found', "NotFound", "release"),
        (409, 'conflict with "kubectl": .spec.replicas', "ApplyConflict", "release"),
        (422, "spec.template: Invalid value: {}: field is immutable", "Immutable", "release"),
        (422, "updates to statefulset spec for fields other than 'replicas' are forbidden", "Immutable", "release"),
        (422, "spec.replicas: Invalid value: -1", "Refused", "release"),
        (429, "slow down", "ApiUnavailable", "world"),
        (500, 'failed calling webhook "x": connection refused', "WebhookUnavailable", "world"),
        (500, "etcdserver: request timed out", "ApiError", "world"),
        (500, "failed to create typed patch object (/web): .spec.x: field not declared in schema", "Refused", "release"),
        (503, "the server is currently unable to handle the request", "ApiUnavailable", "world"),
    ],
)
def test_the_code_and_the_blame_of_an_answer(status: int, message: str, code: str, blames: str) -> None:
    cause = causes.cause_of(error_from(status, {"message": message}, str(REF)), REF)
    assert (cause.code, cause.blames) == (code, blames)
    assert cause.object == REF
    assert message in cause.message
    assert "Deployment.apps shop/web" in cause.message


def test_no_answer_is_the_worlds_fault() -> None:
    cause = causes.cause_of(no_answer(TimeoutError(), str(REF), "https://127.0.0.1:6443"), REF)
    assert (cause.code, cause.blames) == ("ApiUnavailable", "world")
    assert "no answer in time" in cause.message


def test_a_typo_in_a_kind_blames_the_release_and_a_missing_custom_kind_the_world() -> None:
    typo = causes.unserved(Unserved(REF, "apps/v1", is_typo=True))
    assert (typo.code, typo.blames) == ("UnknownKind", "release")
    assert causes.unserved(Unserved(REF, "munbon.test/v1", is_typo=False)).blames == "world"


def test_causes_fit_their_contract_however_long_the_words() -> None:
    long: Any = "x" * 9_000
    assert len(causes.foreign(REF, long).message) <= 2_000
    assert causes.bad_definition(REF, long).message.endswith("…")
