"""What stopped a pass, in words for a person and a stable code, and whether the release is to blame or the world."""

from __future__ import annotations

from typing import Literal

from edge_agent.kube.errors import KubeConflict, KubeError, KubeNotFound, KubeUnavailable
from edge_agent.observe.targets import Unserved
from shared.contracts.event import Cause, ObjectRef

_MAX_MESSAGE = 1_900
_IMMUTABLE_WORDS = ("field is immutable", "is immutable", "immutable field", "updates to statefulset spec for fields other than")
Blame = Literal["release", "world", "unknown"]


def is_immutable(error: KubeError) -> bool:
    """Whether the server refused to change a field of an existing object (kubernetes.md 1.1 step 4)."""
    text = error.message.lower()
    return error.status == 422 and any(word in text for word in _IMMUTABLE_WORDS)


def cause_of(error: KubeError, ref: ObjectRef | None) -> Cause:
    """The cause for an error about one object, or about the cluster when `ref` is None."""
    code, blames = _judge(error)
    return Cause(code=code, message=_cut(str(error)), object=ref, blames=blames)


def foreign(ref: ObjectRef, reason: str) -> Cause:
    """An object of that name is not ours."""
    return Cause(code="ForeignObject", message=_cut(f"{ref}: {reason}"), object=ref, blames="release")


def unserved(found: Unserved) -> Cause:
    """No such kind. A custom kind may still come with another app: its definition is the world's business, until the deadline."""
    message = f"{found.ref}: the cluster serves no {found.api_version} {found.ref.kind}; is its definition part of this or another release?"
    return Cause(code="UnknownKind", message=_cut(message), object=found.ref, blames="release" if found.is_typo else "world")


def bad_definition(ref: ObjectRef, message: str) -> Cause:
    """A CustomResourceDefinition that will never be established."""
    return Cause(code="DefinitionRefused", message=_cut(f"{ref}: {message}"), object=ref, blames="release")


def _judge(error: KubeError) -> tuple[str, Blame]:
    text = error.message.lower()
    if "does not support dry run" in text or "failed calling webhook" in text or "failed to call webhook" in text:
        return "WebhookUnavailable", "world"
    if isinstance(error, KubeUnavailable):
        return ("ApiUnavailable" if error.status in (0, 401, 429, 503) else "ApiError"), "world"
    if is_immutable(error):
        return "Immutable", "release"
    if isinstance(error, KubeConflict):
        return "ApplyConflict", "release"
    if isinstance(error, KubeNotFound):
        return "NotFound", "release"
    if error.status == 403:
        admission = "admission webhook" in text or "exceeded quota" in text or "violates" in text or "being terminated" in text
        return "Forbidden", "release" if admission else "world"
    return "Refused", "release"


def _cut(message: str) -> str:
    return message if len(message) <= _MAX_MESSAGE else message[: _MAX_MESSAGE - 1] + "…"
