"""What docs/reference says of the API is what the code does."""

import json
from typing import Any

from deploy.openapi import DEFAULT_FILE, is_current, render_openapi

DOCUMENT: dict[str, Any] = json.loads(render_openapi())


def test_the_exported_document_is_current() -> None:
    assert is_current(DEFAULT_FILE), "run: python -m deploy.openapi"


def test_every_path_under_v1_wants_the_token_and_answers_errors_as_problems() -> None:
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["description"], where
            if path.startswith("/v1/"):
                assert operation["security"] == [{"token": []}], where
                problem = operation["responses"]["4XX"]["content"]["application/json"]["schema"]["$ref"]
                assert problem.endswith("/ProblemView"), where


def test_every_route_is_described_in_the_reference() -> None:
    text = (DEFAULT_FILE.parent / "api.md").read_text(encoding="utf-8")
    for path, operations in DOCUMENT["paths"].items():
        for method in operations:
            assert f"`{method.upper()} {path}`" in text, f"{method.upper()} {path} is not in api.md"
