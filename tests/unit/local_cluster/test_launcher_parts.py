"""What the launcher writes and computes: images, certificates, kubeconfigs, control groups, what a machine lacks."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from deploy.local_cluster import access, build, cgroups, images, layout, node_settings, preflight
from deploy.local_cluster.certificates import make_certificates
from deploy.local_cluster.images import Image
from deploy.local_cluster.layout import Layout
from deploy.make.capabilities import Lack
from shared.errors import UsageError


def test_an_image_archive_names_its_parts_by_their_digests(tmp_path: Path) -> None:
    image = Image("docker.io/munbon/x:1", {"bin/x": b"program"}, {"bin/y": "x"}, ("/bin/x",), 8080)
    with tarfile.open(images.write_image(tmp_path / "x.tar", image)) as archive:
        content = {each.name: archive.extractfile(each).read() for each in archive if each.isfile()}  # type: ignore[union-attr]
    (entry,) = json.loads(content["manifest.json"])
    config = json.loads(content[entry["Config"]])
    layer = content[entry["Layers"][0]]
    assert entry["RepoTags"] == ["docker.io/munbon/x:1"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"]["ExposedPorts"] == {"8080/tcp": {}}
    with tarfile.open(fileobj=io.BytesIO(layer)) as files:
        assert files.getmember("bin/x").mode == 0o755
        assert files.getmember("bin/y").linkname == "x"


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}/[a-z]{1,8}", fullmatch=True), st.binary(max_size=200), max_size=5))
def test_the_same_files_make_the_same_layer(files: dict[str, bytes]) -> None:
    image = Image("docker.io/munbon/x:1", files)
    backwards = Image("docker.io/munbon/x:1", dict(reversed(files.items())))
    assert images._layer(image) == images._layer(backwards)


def test_the_server_certificate_is_signed_by_the_authority_and_names_its_addresses(tmp_path: Path) -> None:
    make_certificates(tmp_path, ["127.0.0.1", "10.213.0.2"])
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    server = x509.load_pem_x509_certificate((tmp_path / "server.crt").read_bytes())
    server.verify_directly_issued_by(authority)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "10.213.0.2"]
    assert (tmp_path / "server.key").stat().st_mode & 0o077 == 0


def test_two_authorities_have_different_names(tmp_path: Path) -> None:
    subjects = set()
    for name in ("one", "other"):
        make_certificates(tmp_path / name, ["127.0.0.1"])
        subjects.add(x509.load_pem_x509_certificate((tmp_path / name / "ca.crt").read_bytes()).subject.rfc4514_string())
    assert len(subjects) == 2


def test_a_kubeconfig_holds_all_it_needs_and_is_private(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("authority")
    token = access.add_token(tmp_path, "visitor", ["visitors", "readers"])
    path = access.write_kubeconfig(tmp_path / "k.yaml", "pi-north", "https://10.213.0.2:6443", tmp_path / "ca.crt", {"token": token})
    config = yaml.safe_load(path.read_text())
    assert base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]) == b"authority"
    assert config["users"][0]["user"] == {"token": token}
    assert path.stat().st_mode & 0o077 == 0
    assert (tmp_path / "tokens.csv").read_text() == f'{token},visitor,visitor,"visitors,readers"\n'


def test_only_a_node_listens_beyond_loopback(tmp_path: Path) -> None:
    alone = Layout("test", tmp_path, tmp_path / "program", layout.LOOPBACK, 6443)
    node = Layout("pi-north", tmp_path, tmp_path / "program", "10.213.0.2", 6443)
    assert "--bind-address=127.0.0.1" in layout.api_server_command(alone)
    assert "--advertise-address=10.213.0.2" in layout.api_server_command(node)


def test_containerd_s_configuration_is_toml_and_names_our_shim(tmp_path: Path) -> None:
    import tomllib

    plan = Layout("pi-north", tmp_path / "state", tmp_path / "bin" / "munbon-node", "10.213.0.2", 6443)
    text = node_settings.containerd_toml(plan, node_settings.NodeFiles(tmp_path), "overlayfs", "/usr/lib/cni")
    plugins = tomllib.loads(text)["plugins"]
    runtime = plugins["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]["runc"]
    assert runtime["runtime_path"] == str(tmp_path / "bin" / "containerd-shim-runc-v2")
    assert plugins["io.containerd.cri.v1.images"]["pinned_images"]["sandbox"] == images.PAUSE_IMAGE


def unified_tree(root: Path) -> None:
    (root / "cgroup.controllers").write_text("cpuset cpu io memory pids")
    (root / "cgroup.procs").write_text("")


def version_1_tree(root: Path) -> None:
    for name in ("cpu", "cpuset", "memory", "pids", "unified"):
        (root / name).mkdir()
        (root / name / "cgroup.procs").write_text("")
    (root / "cpuset" / "cpuset.cpus").write_text("0-3")


def test_on_version_1_a_node_has_a_folder_in_each_hierarchy(tmp_path: Path) -> None:
    version_1_tree(tmp_path)
    files = cgroups.make("munbon-x", tmp_path)
    assert cgroups.missing_controllers(tmp_path) == []
    assert {each.relative_to(tmp_path).parts[0] for each in files} == {"cpu", "cpuset", "memory", "pids"}
    cgroups.remove("munbon-x", tmp_path)
    assert not cgroups.exists("munbon-x", tmp_path)


def test_a_symbolic_name_of_a_hierarchy_is_not_a_second_one(tmp_path: Path) -> None:
    version_1_tree(tmp_path)
    (tmp_path / "cpuacct").symlink_to(tmp_path / "cpu")
    assert len(cgroups.hierarchies(tmp_path)) == 5


def test_the_processes_of_a_node_are_found_in_all_folders_below_its_own(tmp_path: Path) -> None:
    version_1_tree(tmp_path)
    pod = tmp_path / "pids" / "munbon-x" / "kubepods" / "pod1"
    pod.mkdir(parents=True)
    (pod / "cgroup.procs").write_text("41\n42\n")
    assert cgroups.processes("munbon-x", tmp_path) == {41, 42}


def test_a_controller_that_is_off_is_named(tmp_path: Path) -> None:
    unified_tree(tmp_path)
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu pids")
    assert cgroups.is_unified(tmp_path)
    assert cgroups.missing_controllers(tmp_path) == ["memory"]


def test_progress_counts_fetches_and_packages_and_keeps_errors() -> None:
    progress = build.Progress("munbon-node")
    complaint = ["# munbon.test/localcluster/parts/node", "node.go:3:1: undefined: x"]
    for line in ("go: downloading k8s.io/api v0.36.3", "k8s.io/api/core/v1", *complaint):
        progress.take(line)
    assert (progress.fetched, progress.compiled) == (1, 1)
    assert progress.other == complaint


def test_a_lack_is_told_with_the_line_that_changes_it() -> None:
    found = [Lack("not root", "run it as root"), Lack("no runc", "as root: make cluster INSTALL=1")]
    assert preflight.in_words(found) == "not root, no runc; to change it: run it as root; as root: make cluster INSTALL=1"


@pytest.mark.parametrize("lacking", ["", "full", "both"])
def test_the_best_cluster_is_the_best_that_lacks_nothing(lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lack = Lack("not root", "run it as root")
    monkeypatch.setattr(preflight, "lacks", lambda what: [lack] if lacking == "both" or lacking == what else [])
    kind, reason = preflight.best_kind()
    assert kind == {"": "full", "full": "control_plane", "both": "memory"}[lacking]
    assert ("run it as root" in reason) == bool(lacking)


@pytest.mark.parametrize("name", ["", "Pi", "pi_north", "-pi", "pi-", "p" * 51, "pi/../x"])
def test_a_name_that_could_not_name_a_node_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not a node name"):
        preflight.check_node_name(name)
