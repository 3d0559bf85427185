"""Names as arguments. What is checked here becomes part of an address at central, so nothing else may pass."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from shared.contracts import subjects
from shared.contracts.base import APP_PATTERN, NODE_PATTERN
from shared.errors import UsageError

_ROLLOUT = re.compile(r"[0-9A-Za-z-]{1,64}")
_APP = re.compile(APP_PATTERN.strip("^$"))
_SITE = re.compile(NODE_PATTERN.strip("^$"))
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


def check_app(name: str | None) -> str | None:
    """The name itself.

    Raises:
        UsageError: no app can have it.
    """
    return _check_label(name, "app")


def check_namespace(name: str) -> str:
    """The name itself.

    Raises:
        UsageError: no namespace can have it.
    """
    _check_label(name, "namespace")
    return name


def check_version(version: str | None) -> str | None:
    """The version itself.

    Raises:
        UsageError: it is no SemVer.
    """
    if version is not None and not _VERSION.fullmatch(version):
        raise UsageError(f"version {version!r} is no SemVer", subject="munbon", remedy="use MAJOR.MINOR.PATCH, for example 1.2.0")
    return version


def split_release(text: str) -> tuple[str, str]:
    """App and version of `APP@VERSION`.

    Raises:
        UsageError: it is no such pair.
    """
    name, _, version = text.partition("@")
    if not _APP.fullmatch(name) or not _VERSION.fullmatch(version):
        raise UsageError(f"{text!r} is no APP@VERSION", subject="munbon", remedy="for example gate-ui@1.2.0")
    return name, version


def _check_label(name: str | None, what: str) -> str | None:
    if name is not None and not _APP.fullmatch(name):
        remedy = "use a-z, 0-9 and '-', at most 63, starting and ending with a letter or digit"
        raise UsageError(f"{what} name {name!r} is not allowed", subject="munbon", remedy=remedy)
    return name


def _check_rollout(rollout_id: str) -> str:
    if not _ROLLOUT.fullmatch(rollout_id):
        raise UsageError(
            f"rollout id {rollout_id!r} is not allowed", subject="munbon", remedy="see the ids with: munbon rollout history APP"
        )
    return rollout_id


def _check_site(name: str | None) -> str | None:
    return _check_place(name, "site")


def _check_gate(name: str | None) -> str | None:
    return _check_place(name, "gate")


def _check_place(name: str | None, what: str) -> str | None:
    if name is not None and not _SITE.fullmatch(name):
        remedy = "use 1 to 63 of a-z, 0-9 and '-'; see them with: munbon gate list"
        raise UsageError(f"{what} name {name!r} is not allowed", subject="munbon", remedy=remedy)
    return name


AppArgument = Annotated[str, typer.Argument(metavar="APP", help="Name of the app.", callback=check_app)]
OptionalAppArgument = Annotated[str | None, typer.Argument(metavar="[APP]", help="Only this app.", callback=check_app)]
AppOption = Annotated[str | None, typer.Option("--app", metavar="APP", help="Only this app.", callback=check_app)]
ReleaseArgument = Annotated[str, typer.Argument(metavar="APP@VERSION", help="A published release, for example gate-ui@1.2.0.")]
RolloutArgument = Annotated[
    str, typer.Argument(metavar="ROLLOUT", help="Id of the rollout: see 'munbon rollout history'.", callback=_check_rollout)
]
NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="Name of the node.", callback=subjects.check_node_id)]
SiteArgument = Annotated[str, typer.Argument(metavar="SITE", help="Name of the site: the node's label 'site'.", callback=_check_site)]
GateArgument = Annotated[str | None, typer.Argument(metavar="[GATE]", help="Only this gate.", callback=_check_gate)]
ReasonOption = Annotated[str, typer.Option(metavar="TEXT", help="Why: kept in the audit.")]
