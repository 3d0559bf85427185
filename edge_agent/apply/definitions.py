"""Custom kinds: wait until their definitions are established, then find them (A1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge_agent.apply.writing import Writer
from edge_agent.kube.client import KubeClient
from edge_agent.kube.errors import KubeUnknownKind
from edge_agent.observe.targets import Target
from edge_agent.plan.access import items, mapping, text
from shared.contracts.event import ObjectRef

_POLL_S = 0.1
_WITHIN_S = 10.0


@dataclass(frozen=True)
class Established:
    """`refused`: a definition that never will be; else `message` says what is still awaited, empty when nothing is."""

    message: str = ""
    refused: ObjectRef | None = None


class Definitions:
    """The definitions of one release."""

    def __init__(self, kube: KubeClient, writer: Writer) -> None:
        self._kube = kube
        self._clock = writer.clock

    async def await_established(self, targets: Sequence[Target]) -> Established:
        """Poll until all are established, for at most 10 s.

        Raises:
            KubeError: the cluster cannot be read.
        """
        deadline_s = self._clock.monotonic_s() + _WITHIN_S
        for target in targets:
            while (found := await self._look(target)).message and found.refused is None:
                if self._clock.monotonic_s() >= deadline_s:
                    return found
                await self._clock.sleep(_POLL_S)
            if found.refused is not None:
                return found
        return Established()

    async def _look(self, target: Target) -> Established:
        if target.kind is None:
            return Established(f"{target.ref} is not served")
        live = await self._kube.get(target.kind, "", target.ref.name) or {}
        conditions = {text(each.get("type")): each for each in items(mapping(live.get("status")).get("conditions"))}
        if mapping(conditions.get("NamesAccepted")).get("status") == "False":
            return Established(text(conditions["NamesAccepted"].get("message")) or "its names are not accepted", target.ref)
        if mapping(conditions.get("Established")).get("status") == "True":
            return Established()
        return Established(f"{target.ref} is not established")

    async def with_kind(self, target: Target) -> Target:
        """The target with the kind that its definition brought; waits a little, as discovery follows a moment later.

        Raises:
            KubeUnknownKind: the definition is established, and the kind is still not served in this version.
        """
        if target.kind is not None:
            return target
        key = (text(target.manifest.get("apiVersion")), text(target.manifest.get("kind")))
        deadline_s = self._clock.monotonic_s() + _WITHIN_S
        while True:
            kind = (await self._kube.discovery.resolve([key])).get(key)
            if kind is not None:
                return replace(target, kind=kind)
            if self._clock.monotonic_s() >= deadline_s:
                raise KubeUnknownKind(
                    f"the cluster serves no {key[0]} {key[1]}; which versions does its definition serve?", subject=str(target.ref)
                )
            await self._clock.sleep(_POLL_S)
