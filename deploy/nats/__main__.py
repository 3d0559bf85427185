"""Writes example.conf: what munbon-central generates for two nodes."""

from pathlib import Path

from central.bus.server_config import ServerConfig, render_config

HASH = "$2b$04$CrTMAxYyMUpwWDpMLnOYheVWaMZq5MsBCGl1Ezj9OTA/8o7QCXb0e"
FOLDER = "/var/lib/munbon-central/nats"


def example() -> str:
    return render_config(
        ServerConfig(
            server_name="munbon-central-1",
            host="0.0.0.0",
            port=4222,
            monitor_port=8222,
            store_folder=f"{FOLDER}/js",
            log_file=f"{FOLDER}/nats-server.log",
            pid_file=f"{FOLDER}/nats-server.pid",
            central_password="made-by-munbon-central-init",
            node_hashes={"pi-north": HASH, "pi-south": HASH},
        )
    )


if __name__ == "__main__":
    Path(__file__).with_name("example.conf").write_text(example(), encoding="utf-8")
