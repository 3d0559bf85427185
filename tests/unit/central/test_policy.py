"""What may be published, and the words in which it is refused."""

from typing import Any

from central.model import Immutable
from central.policy import PolicyRefused, check_publish, refusal
from shared.contracts.limits import MAX_BLOB_BYTES, MAX_CONTENT_BYTES
from shared.contracts.objects import Finding
from shared.contracts.release import Release
from tests.builders_central import release, release_record


def deployment(image: str = "web:1") -> dict[str, Any]:
    pod = {"spec": {"containers": [{"name": "web", "image": image}]}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"}, "spec": {"template": pod}}


def check(document: Release, objects: list[Any], **fields: Any) -> tuple[Finding, ...]:
    sizes = {"content_size_bytes": document.content_size_bytes, "blob_size_bytes": document.blob_size_bytes}
    return check_publish(document, objects, **(sizes | fields))


def codes(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.code for finding in findings]


def test_a_good_release_passes_with_a_note_about_unlisted_images() -> None:
    findings = check(release(), [deployment()])
    assert codes(findings) == ["ImagesNotListed"]
    assert refusal(release(), findings) is None
    assert check(release().model_copy(update={"images": ("web:1",)}), [deployment()]) == ()


def test_a_bundle_over_the_limit_is_refused_with_both_figures() -> None:
    findings = check(release(), [deployment()], content_size_bytes=MAX_CONTENT_BYTES + 1, blob_size_bytes=100_000_000)
    assert codes(findings)[:2] == ["TooLarge", "TooLarge"]
    error = refusal(release(), findings)
    assert isinstance(error, PolicyRefused)
    assert str(MAX_BLOB_BYTES) in str(error)
    assert "100000000" in str(error)


def test_sizes_and_counts_must_be_what_the_document_says() -> None:
    assert codes(check(release(), [deployment()], blob_size_bytes=1))[0] == "SizeMismatch"
    assert codes(check(release(), [deployment(), {**deployment(), "kind": "StatefulSet"}]))[0] == "CountMismatch"


def test_a_version_published_with_other_content_is_immutable() -> None:
    stored = release_record(content="other")
    error = refusal(release(), check(release(), [deployment()], stored=stored))
    assert isinstance(error, Immutable)
    assert error.exit_code == 3
    assert check(release(), [deployment()], stored=release_record())[0].code == "ImagesNotListed"


def test_a_refusal_names_each_object_and_keeps_all_findings() -> None:
    broken = [{"kind": "Service"} for _ in range(15)]
    error = refusal(release(), check(release(), broken))
    assert isinstance(error, PolicyRefused)
    assert "object 1 (Service)" in str(error)
    assert "more" in str(error)
    assert len(error.findings) > 15


def test_a_secret_passes_only_with_the_flag_of_the_signed_document() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    assert codes(check(release(), [secret])) == ["PlainSecret"]
    assert check(release().model_copy(update={"allow_secrets": True}), [secret]) == ()
