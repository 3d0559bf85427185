"""Health rule by rule: one fixture per outcome. A file's name is its kind, its verdict, and why.

`since` is 2026-03-01T12:00:00Z, `now` a minute later.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_agent.assess.observed import Observed
from edge_agent.assess.render import assess_render
from edge_agent.model import Assessment
from shared.contracts.objects import object_ref

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.yaml"))
SINCE, NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC), datetime(2026, 3, 1, 12, 1, tzinfo=UTC)


def read(path: Path) -> tuple[Assessment, dict[str, Any]]:
    given = yaml.safe_load(path.read_text())
    obj = given["object"]
    observed = Observed(
        live={object_ref(obj): obj},
        pods=tuple(given.get("pods", ())),
        owners=tuple(given.get("owners", ())),
        late_binding=frozenset(given.get("late_binding", ())),
        logs={tuple(key.split("/")): text for key, text in given.get("logs", {}).items()},
        warnings={uid: (reason, message) for uid, (reason, message) in given.get("warnings", {}).items()},
    )
    return assess_render([object_ref(obj)], observed, since=SINCE, now=NOW), given["expect"]


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_health(path: Path) -> None:
    assessment, expect = read(path)
    assert assessment.verdict == expect["verdict"], assessment
    assert path.stem.split("-")[1] == expect["verdict"], "the name says the outcome"
    assert expect.get("message", "") in assessment.message
    assert assessment.images_ready is expect.get("images_ready", True)
    cause = assessment.cause
    if "code" in expect:
        assert (cause.code if cause else None) == expect["code"]
    for field in ("container", "exit_code", "last_log_line", "pod", "blames"):
        if field in expect:
            assert cause is not None
            assert getattr(cause, field) == expect[field]


def test_every_failure_has_a_cause_that_names_the_object() -> None:
    for path in FIXTURES:
        assessment, _ = read(path)
        if assessment.verdict == "failed":
            assert assessment.cause is not None, path.stem
            assert assessment.cause.object is not None, path.stem
            assert assessment.cause.message, path.stem
