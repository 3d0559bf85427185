import pytest

from tests.fixtures_cluster import require_control_plane, require_full_node


@pytest.fixture(autouse=True, scope="module")
def this_machine_can_run_it(request: pytest.FixtureRequest) -> None:
    names = {mark.name for mark in request.node.iter_markers()}
    if "full_node" in names:
        require_full_node()
    elif "control_plane" in names:
        require_control_plane()
