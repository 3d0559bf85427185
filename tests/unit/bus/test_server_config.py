"""The configuration text for nats-server; that the server takes it is checked with the server itself."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.bus.process import check_config, find_binary
from central.bus.server_config import ServerConfig, render_accounts, render_config, render_node_user
from shared.contracts.base import NODE_PATTERN
from shared.errors import UsageError

NODE_IDS = st.from_regex(NODE_PATTERN, fullmatch=True)
HASH = "$2b$04$CrTMAxYyMUpwWDpMLnOYheVWaMZq5MsBCGl1Ezj9OTA/8o7QCXb0e"


def config(folder: str = "/var/lib/munbon/nats", password: str = "secret", nodes: dict[str, str] | None = None) -> ServerConfig:
    return ServerConfig(
        server_name="munbon-1",
        host="127.0.0.1",
        port=4222,
        monitor_port=8222,
        store_folder=f"{folder}/js",
        log_file=f"{folder}/log",
        pid_file=f"{folder}/pid",
        central_password=password,
        node_hashes=nodes or {},
    )


@given(st.sets(NODE_IDS, max_size=8))
def test_each_node_gets_its_own_five_subjects_and_no_other_node_shares_one(nodes: set[str]) -> None:
    users = {user["user"]: user["permissions"] for user in render_accounts("p", dict.fromkeys(nodes, HASH))["EDGE"]["users"]}
    assert set(users) == nodes
    own = {node: {*allowed["publish"]["allow"], *allowed["subscribe"]["allow"]} for node, allowed in users.items()}
    shared_by_all = {"$JS.API.DIRECT.GET.ART.art.>"}
    for node, subjects in own.items():
        assert len(subjects) == 7
        for subject in subjects - shared_by_all:
            assert node in re.split(r"[.]|_INBOX_", subject), subject
            assert all(subject not in others for other, others in own.items() if other != node)


@given(st.text(max_size=20))
def test_what_is_no_node_id_is_refused_whole(text: str) -> None:
    if re.fullmatch(NODE_PATTERN, text) and "\n" not in text:
        assert render_node_user(text, HASH)["user"] == text
    else:
        with pytest.raises(UsageError):
            render_config(config(nodes={text: HASH}))


@pytest.mark.parametrize("node", ["*", ">", "a.b", "n1\n", "N1", "", "a" * 64, 'x"', "{{name()}}"])
def test_names_that_would_widen_a_permission_are_refused(node: str) -> None:
    with pytest.raises(UsageError, match="not allowed"):
        render_node_user(node, HASH)


@given(st.dictionaries(NODE_IDS, st.just(HASH), max_size=5))
def test_the_text_depends_on_nothing_but_its_input(nodes: dict[str, str]) -> None:
    assert render_config(config(nodes=nodes)) == render_config(config(nodes=dict(reversed(nodes.items()))))


def test_only_central_has_jetstream_and_nodes_reach_four_services_and_one_stream() -> None:
    accounts = render_accounts("p", {"n1": HASH})
    assert [name for name, account in accounts.items() if "jetstream" in account] == ["CORE"]
    exported = {json.dumps(item, sort_keys=True) for item in accounts["CORE"]["exports"]}
    imported = {json.dumps({kind: what["subject"] for kind, what in item.items()}, sort_keys=True) for item in accounts["EDGE"]["imports"]}
    assert exported == imported
    assert len(exported) == 5


@settings(max_examples=15, deadline=None)
@given(
    nodes=st.dictionaries(NODE_IDS, st.just(HASH), max_size=4),
    password=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=24),
)
@pytest.mark.nats
def test_any_valid_node_ids_and_any_password_give_a_configuration_that_the_server_takes(
    tmp_path_factory: pytest.TempPathFactory, nodes: dict[str, str], password: str
) -> None:
    file = tmp_path_factory.mktemp("config") / "nats-server.conf"
    file.write_text(render_config(config(str(file.parent), password, nodes)))
    assert asyncio.run(check_config(find_binary(), file)).startswith("sha256:")


@pytest.mark.nats
def test_the_production_example_is_as_generated_and_is_taken(tmp_path: Path) -> None:
    example = (Path(__file__).parents[3] / "deploy" / "nats" / "example.conf").read_text()
    expected = render_config(
        ServerConfig(
            server_name="munbon-central-1",
            host="0.0.0.0",
            port=4222,
            monitor_port=8222,
            store_folder="/var/lib/munbon-central/nats/js",
            log_file="/var/lib/munbon-central/nats/nats-server.log",
            pid_file="/var/lib/munbon-central/nats/nats-server.pid",
            central_password="made-by-munbon-central-init",
            node_hashes={"pi-north": HASH, "pi-south": HASH},
        )
    )
    assert example == expected, "run: python -m deploy.nats"
