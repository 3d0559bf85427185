"""What `init` writes is what `serve` reads."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.main.settings import CONFIG_FILE, CentralSettings, NatsSettings, parse_listen, render_config
from central.main.state_dir import hold_state_dir
from shared.errors import UsageError
from shared.settings import load_settings

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)


@given(database_url=TEXT, advertise=TEXT, port=st.integers(1, 65_535))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, database_url: str, advertise: str, port: int) -> None:
    settings = CentralSettings(
        fleet="khlong", listen=f"127.0.0.1:{port}", database_url=database_url, nats=NatsSettings(listen="0.0.0.0:4222", advertise=advertise)
    )
    file = tmp_path_factory.mktemp("settings") / CONFIG_FILE
    file.write_text(render_config(settings), encoding="utf-8")
    assert load_settings(CentralSettings, file) == settings


def test_the_environment_goes_before_the_file_and_options_before_both(tmp_path: Path) -> None:
    file = tmp_path / CONFIG_FILE
    file.write_text('listen = "127.0.0.1:1"\n[nats]\nlisten = "127.0.0.1:2"\n')
    environment = {"MUNBON_CENTRAL_LISTEN": "127.0.0.1:3", "MUNBON_CENTRAL_NATS__LISTEN": "127.0.0.1:4"}
    overrides = {"listen": "127.0.0.1:5", "nats.url": None}
    settings = load_settings(CentralSettings, file, environment=environment, prefix="MUNBON_CENTRAL_", overrides=overrides)
    assert (settings.listen, settings.nats.listen) == ("127.0.0.1:5", "127.0.0.1:4")


@given(host=st.sampled_from(["127.0.0.1", "0.0.0.0", "central.example", "::1"]), port=st.integers(1, 65_535))
def test_addresses_are_taken_apart(host: str, port: int) -> None:
    text = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    assert parse_listen(text, name="listen") == (host, port)


@pytest.mark.parametrize("text", ["", "7480", ":7480", "host:", "host:0", "host:65536", "host:http", "host:-1", "host:٣"])
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"HOST:PORT.*127\.0\.0\.1:7480"):
        parse_listen(text, name="listen")


def test_a_node_is_told_the_address_that_was_meant_for_it() -> None:
    assert CentralSettings().nats_url == "nats://127.0.0.1:4222"
    assert CentralSettings(nats=NatsSettings(url="nats://bus:4222")).nats_url == "nats://bus:4222"
    both = NatsSettings(url="nats://10.0.0.1:4222", advertise="nats://bus.example:4222")
    assert CentralSettings(nats=both).nats_url == "nats://bus.example:4222"


def test_a_folder_is_held_by_one_and_free_again_afterwards(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).touch()
    with hold_state_dir(tmp_path), pytest.raises(UsageError, match="another munbon-central"), hold_state_dir(tmp_path):
        pass
    with hold_state_dir(tmp_path):
        pass
