"""Owner references: dependents follow their owners, or are let go, by the propagation that the deletion asked for."""

from __future__ import annotations

from deploy.local_cluster.in_memory.controllers import parts
from deploy.local_cluster.in_memory.controllers.parts import Hands
from deploy.local_cluster.in_memory.deleting import FOREGROUND, ORPHAN
from deploy.local_cluster.in_memory.storage import DELETED, Change, Key, Obj


class Graph:
    """Who lives and who depends on whom, kept up to date from the changes of the store."""

    def __init__(self) -> None:
        self.living: dict[str, tuple[str, Key]] = {}
        self.dependents: dict[str, set[tuple[str, Key]]] = {}

    def note(self, change: Change) -> None:
        """Take in one change."""
        here = (change.kind_id, parts.key_of(change.obj))
        for reference in (change.before or {}).get("metadata", {}).get("ownerReferences") or ():
            members = self.dependents.get(reference["uid"])
            if members is not None:
                members.discard(here)
                if not members:
                    del self.dependents[reference["uid"]]
        uid = change.obj["metadata"]["uid"]
        if change.type == DELETED:
            self.living.pop(uid, None)
            return
        self.living[uid] = here
        for reference in change.obj["metadata"].get("ownerReferences") or ():
            self.dependents.setdefault(reference["uid"], set()).add(here)


def sync(hands: Hands, graph: Graph, uid: str) -> None:
    """Deal with the dependents of one owner, which may be alive, being deleted or gone."""
    where = graph.living.get(uid)
    owner = hands.store.get(*where) if where is not None else None
    dependents = [obj for kind_id, key in sorted(graph.dependents.get(uid, ())) if (obj := hands.store.get(kind_id, key)) is not None]
    if owner is None:
        for obj in dependents:
            _owner_gone(hands, graph, obj)
        return
    finalizers = owner["metadata"].get("finalizers") or []
    if not parts.is_deleting(owner):
        return
    if ORPHAN in finalizers:
        for obj in dependents:
            _let_go(hands, obj, {uid})
        _drop_finalizer(hands, owner, ORPHAN)
    elif FOREGROUND in finalizers:
        blocking = [obj for obj in dependents if _reference(obj, uid).get("blockOwnerDeletion")]
        for obj in dependents:
            if not parts.is_deleting(obj):
                hands.delete(obj, "Foreground" if obj["metadata"]["uid"] in graph.dependents else "Background")
        left = [obj for obj in blocking if obj["metadata"]["uid"] in graph.living]
        if not left:
            _drop_finalizer(hands, owner, FOREGROUND)


def check_owners(hands: Hands, graph: Graph, kind_id: str, key: Key) -> None:
    """Delete an object that came with references to owners of which none exists."""
    obj = hands.store.get(kind_id, key)
    if obj is not None:
        _owner_gone(hands, graph, obj)


def _owner_gone(hands: Hands, graph: Graph, obj: Obj) -> None:
    references = obj["metadata"].get("ownerReferences") or []
    absent = {reference["uid"] for reference in references if reference["uid"] not in graph.living}
    if not absent or parts.is_deleting(obj):
        return
    if len(absent) == len(references):
        hands.delete(obj)
    else:
        _let_go(hands, obj, absent)


def _let_go(hands: Hands, obj: Obj, owners: set[str]) -> None:
    kept = [reference for reference in obj["metadata"].get("ownerReferences") or () if reference["uid"] not in owners]
    hands.patch(obj, {"metadata": {"ownerReferences": kept or None}})


def _reference(obj: Obj, uid: str) -> Obj:
    return next((dict(each) for each in obj["metadata"].get("ownerReferences") or () if each["uid"] == uid), {})


def _drop_finalizer(hands: Hands, owner: Obj, name: str) -> None:
    kept = [each for each in owner["metadata"].get("finalizers") or () if each != name]
    hands.patch(owner, {"metadata": {"finalizers": kept or None}})
