"""Puts the API together."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from central.api import answers, problems
from central.api.dependencies import ApiDependencies
from central.api.guard import BodyGuard, RequestGuard, TokenGuard
from central.api.routes import gates, health, nodes, releases, rollouts, status
from central.api.streams import SharedStatus
from shared.contracts.api import API_PREFIX
from shared.errors import MunbonError

DESCRIPTION = (
    "The operator API of Munbon's central. Every request under /v1 carries `Authorization: Bearer TOKEN`; "
    "the token's name is the actor of every audit line. Every error is a ProblemView; an error changes nothing."
)


def create_app(dependencies: ApiDependencies) -> FastAPI:
    """The ASGI application; it starts nothing and owns nothing."""
    app = make_app(dependencies.version)
    app.state.dependencies = dependencies
    app.state.shared_status = SharedStatus(dependencies)
    # the last one added is the outermost: id and last resort, then the token, then the size of the body
    app.add_middleware(BodyGuard)
    app.add_middleware(TokenGuard, dependencies=dependencies)
    app.add_middleware(RequestGuard, dependencies=dependencies)
    return app


def make_app(version: str) -> FastAPI:
    """Routes and error handlers without anything behind them: enough to write down the schema."""
    app = FastAPI(
        title="Munbon central",
        version=version,
        description=DESCRIPTION,
        docs_url=None,  # the pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    for module in (releases, rollouts, nodes, gates, status):
        app.include_router(module.router, prefix=API_PREFIX, responses=answers.PROBLEMS)
    app.include_router(health.router)
    app.add_exception_handler(MunbonError, problems.answer_munbon_error)
    app.add_exception_handler(RequestValidationError, problems.answer_validation_error)
    app.add_exception_handler(HTTPException, problems.answer_http_error)
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]
    return app


def _describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: every error is a ProblemView, every path under /v1 wants the token."""
    if app.openapi_schema is None:
        schema = FastAPI.openapi(app)
        schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                _describe_errors(operation["responses"])
                if path.startswith(f"{API_PREFIX}/"):
                    operation["security"] = [{"token": []}]
        for name in ("HTTPValidationError", "ValidationError"):
            schema["components"]["schemas"].pop(name, None)
        app.openapi_schema = schema
    return app.openapi_schema


def _describe_errors(responses: dict[str, Any]) -> None:
    responses.pop("422", None)  # what does not fit its model is answered with 400, as a ProblemView
    for group in ("4XX", "5XX"):
        content = responses.get(group, {}).get("content", {})
        if "text/event-stream" in content:  # a stream that does not begin is refused as anything else
            content["application/json"] = content.pop("text/event-stream")
