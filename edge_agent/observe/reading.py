"""Live objects with few requests: one list where many of a kind are in one namespace, single reads otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from edge_agent.kube.client import KubeClient
from edge_agent.kube.discovery import ResourceKind
from edge_agent.model import Manifest
from edge_agent.observe.targets import Target
from shared.contracts.event import ObjectRef
from shared.contracts.metadata import LABEL_APP

PARALLEL = 8
"""Requests that one pass has under way at once."""
LIST_FROM = 4
"""So many of one kind in one namespace make a list cheaper than single reads."""
T = TypeVar("T")
R = TypeVar("R")


async def in_parallel(work: Callable[[T], Awaitable[R]], over: Iterable[T], parallel: int = PARALLEL) -> list[R | Exception]:
    """Results in order; an error stands in the place of its result, and hinders no other."""
    gate = asyncio.Semaphore(parallel)

    async def one(item: T) -> R | Exception:
        async with gate:
            try:
                return await work(item)
            except Exception as error:  # noqa: BLE001 - handed to the caller, who re-raises what it does not know
                return error

    return list(await asyncio.gather(*(one(item) for item in over)))


async def read_metadata(kube: KubeClient, targets: Sequence[Target]) -> dict[ObjectRef, Manifest]:
    """Metadata of those targets that are there.

    Raises:
        KubeError: the cluster cannot be read.
    """
    return await _read(kube, targets, label_selector="", metadata_only=True)


async def read_objects(kube: KubeClient, app: str, targets: Sequence[Target]) -> dict[ObjectRef, Manifest]:
    """Whole live objects of an app; those without its label are left out of lists, so small groups only are sure to be found.

    Raises:
        KubeError: the cluster cannot be read.
    """
    return await _read(kube, targets, label_selector=f"{LABEL_APP}={app}", metadata_only=False)


async def _read(kube: KubeClient, targets: Sequence[Target], *, label_selector: str, metadata_only: bool) -> dict[ObjectRef, Manifest]:
    groups: dict[tuple[ResourceKind, str], list[ObjectRef]] = {}
    for target in targets:
        if target.kind is not None:
            groups.setdefault((target.kind, target.ref.namespace), []).append(target.ref)
    found: dict[ObjectRef, Manifest] = {}

    async def read_list(kind: ResourceKind, namespace: str, refs: list[ObjectRef]) -> None:
        listing = await kube.list(kind, namespace, label_selector=label_selector, metadata_only=metadata_only, may_lag=True)
        wanted = {ref.name: ref for ref in refs}
        for item in listing.items:
            name = (item.get("metadata") or {}).get("name")
            if name in wanted:
                found[wanted[name]] = item

    async def read_one(kind: ResourceKind, ref: ObjectRef) -> None:
        item = await kube.get(kind, ref.namespace, ref.name, metadata_only=metadata_only)
        if item is not None:
            found[ref] = item

    jobs: list[Callable[[], Awaitable[None]]] = []
    for (kind, namespace), refs in groups.items():
        if len(refs) >= LIST_FROM:
            jobs.append(lambda kind=kind, namespace=namespace, refs=refs: read_list(kind, namespace, refs))  # type: ignore[misc]
        else:
            jobs += [lambda kind=kind, ref=ref: read_one(kind, ref) for ref in refs]  # type: ignore[misc]
    raise_first(await in_parallel(lambda job: job(), jobs))
    return found


def raise_first(results: Iterable[object]) -> None:
    """Raise the first error among results."""
    for result in results:
        if isinstance(result, Exception):
            raise result
