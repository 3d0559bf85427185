"""From objects to a signed release: the same objects always have the same digests."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.render.bundle import Bundle, BundleOptions, build_bundle, read_provenance
from central.render.sources import Source, SourceObject
from shared.contracts.envelope import Role
from shared.contracts.release import Provenance, Release
from shared.errors import Malformed, UsageError
from shared.signing.digests import canonical_json, sha256_hex, unpack_blob
from shared.signing.dsse import make_trust_root, verify_document
from shared.signing.keys import signer_from_seed

SIGNER = signer_from_seed(b"r" * 32)


def config_map(name: str = "a", **extra: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **extra}, "data": {"k": "v"}}


def bundle(*objects: dict[str, Any], **options: Any) -> Bundle:
    defaults: dict[str, Any] = {
        "app": "web",
        "version": "1.0.0",
        "namespace": "default",
        "allow_secrets": False,
        "provenance": Provenance(),
        "delivery": {},
    }
    source = Source(tuple(SourceObject(item, f"m.yaml:{number}") for number, item in enumerate(objects, 1)), ())
    return build_bundle(source, BundleOptions(**{**defaults, **options}), [SIGNER])


def test_a_bundle_holds_together() -> None:
    made = bundle(config_map(), delivery={"soak_s": 7})
    verified = verify_document(made.envelope, Release, make_trust_root({Role.RELEASE: [SIGNER.public]}), Role.RELEASE)
    content = unpack_blob(made.blob, "gzip")
    assert verified.document == made.release
    assert sha256_hex(made.blob) == made.release.blob_digest
    assert sha256_hex(content) == made.release.content_digest
    assert made.release.delivery.soak_s == 7
    assert b'"namespace":"default"' in content


@given(st.permutations(["apiVersion", "kind", "metadata", "data"]))
def test_the_order_of_keys_changes_no_digest(order: list[str]) -> None:
    item = config_map()
    assert bundle({key: item[key] for key in order}).release.content_digest == bundle(item).release.content_digest


def test_images_are_named_once_each() -> None:
    pod = {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y:2"}], "initContainers": [{"name": "c", "image": "x:1"}]}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": {"spec": pod}}}
    assert bundle(deployment).release.images == ("x:1", "y:2")


def test_waves_are_critical_so_that_no_node_applies_them_out_of_order() -> None:
    assert bundle(config_map(annotations={"argocd.argoproj.io/sync-wave": "2"})).release.critical == ("sync-waves",)
    assert bundle(config_map(annotations={"argocd.argoproj.io/sync-wave": "0"})).release.critical == ()


@pytest.mark.parametrize("annotation", ["argocd.argoproj.io/hook", "helm.sh/hook"])
def test_a_hook_is_refused_for_no_node_runs_it_yet(annotation: str) -> None:
    with pytest.raises(UsageError, match="hook"):
        bundle(config_map(annotations={annotation: "PreSync"}))


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"apiVersion": "v1", "metadata": {"name": "a"}}, "kind"),
        ({"kind": "ConfigMap", "metadata": {"name": "a"}}, "apiVersion"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}, "name"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "a-"}}, "generateName"),
        ({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"p": "x"}}, "Secret"),
    ],
)
def test_a_wrong_object_is_named_with_its_reason(item: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        bundle(item)


def test_duplicates_are_refused_and_every_mistake_is_told_at_once() -> None:
    with pytest.raises(UsageError, match=r"2 mistake\(s\) in m\.yaml") as caught:
        bundle(config_map("a"), config_map("a"), {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}})
    assert "Secret" in str(caught.value)
    assert "ConfigMap" in str(caught.value)


def test_a_secret_passes_with_the_flag_and_the_release_says_so() -> None:
    made = bundle({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"p": "x"}}, allow_secrets=True)
    assert made.release.allow_secrets is True


def test_more_than_the_limit_is_refused_with_both_figures() -> None:
    noise = [config_map(f"m{number}", annotations={"x": "y" * 900_000}) for number in range(20)]
    with pytest.raises(UsageError, match="limit is 16777216"):
        bundle(*noise)


def test_a_folder_outside_git_has_no_provenance(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert read_provenance(tmp_path, now) == Provenance(built_at=now)


def test_numbers_that_json_cannot_hold_are_refused() -> None:
    with pytest.raises(Malformed, match="RFC 8785"):
        bundle({**config_map(), "data": {"k": 2**60}})
    assert canonical_json({"k": 2**53 - 1}) == b'{"k":9007199254740991}'
