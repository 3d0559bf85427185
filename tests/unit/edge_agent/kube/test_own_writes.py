"""How new a cached list has to be."""

from edge_agent.kube.discovery import ResourceKind
from edge_agent.kube.own_writes import OwnWrites

PODS = ResourceKind("", "v1", "Pod", "pods", True)
MAPS = ResourceKind("", "v1", "ConfigMap", "configmaps", True)


def written(version: str) -> dict[str, dict[str, str]]:
    return {"metadata": {"resourceVersion": version}}


def test_anything_will_do_before_the_first_write() -> None:
    assert OwnWrites().query(PODS) == {"resourceVersion": "0", "resourceVersionMatch": "NotOlderThan"}


def test_the_newest_write_of_the_kind_counts() -> None:
    writes = OwnWrites()
    for version in ("12", "40", "39"):
        writes.note(MAPS, written(version))
    assert writes.query(MAPS)["resourceVersion"] == "40"
    # another kind's cache may never come that far: nothing of it was written
    assert writes.query(PODS)["resourceVersion"] == "0"


def test_a_version_that_is_no_number_is_left_out() -> None:
    writes = OwnWrites()
    writes.note(MAPS, written("not-a-number"))
    writes.note(MAPS, {})
    assert writes.query(MAPS)["resourceVersion"] == "0"


def test_a_server_that_is_not_that_far_starts_anew() -> None:
    writes = OwnWrites()
    writes.note(MAPS, written("40"))
    writes.forget()
    assert writes.query(MAPS)["resourceVersion"] == "0"
