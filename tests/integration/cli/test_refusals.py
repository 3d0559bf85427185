"""Wrong words to the real `munbon` against a real central: a clear error, the documented exit code, and nothing changed."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from deploy.harness.processes import free_port
from tests.integration.cli.conftest import Fleet

pytestmark = pytest.mark.asyncio(loop_scope="session")
_CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {greeting: %s}\n"
_SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\nstringData: {password: x}\n"


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def standing(fleet: Fleet) -> None:
    """Release web@1.0.0 and a rollout of it, which no refusal may change."""
    await fleet.operator.publish(fleet.write("good.yaml", _CONFIG_MAP % "one"), "web", "1.0.0")
    await fleet.operator.roll_out("web", "1.0.0", wait_s=60)


async def test_what_is_unknown_is_4_and_what_stands_against_it_3(fleet: Fleet) -> None:
    await fleet.refuses_each(
        [
            ("release show nothing@1.0.0", 4, "nothing"),
            ("release show web@9.9.9", 4, "9.9.9"),
            ("release list --app nothing", 4, "nothing"),
            ("rollout start web@9.9.9 --selector site=x", 4, "published are: 1.0.0"),
            ("rollout start nothing@1.0.0", 4, "nothing"),
            ("rollout show nope", 4, "there is no such rollout"),
            ("rollout wait nope", 4, "there is no such rollout"),
            ("rollout history nothing", 4, "nothing"),
            ("rollback nothing", 4, "nothing"),
            ("rollback web --to 9.9.9", 4, "9.9.9"),
            ("rollback web", 3, "web"),
            ("app pause nothing", 4, "nothing"),
            ("app resume nothing", 4, "nothing"),
            ("app resume web -l site=x", 4, "is not paused for 'site=x'"),
            ("app remove nothing --yes", 4, "nothing"),
            ("node show pi-nowhere", 4, "pi-nowhere"),
            ("node label pi-nowhere site=x", 4, "pi-nowhere"),
            ("node remove pi-nowhere --yes", 4, "pi-nowhere"),
            ("node add pi-north", 3, "--replace"),
            ("events pi-nowhere", 4, "pi-nowhere"),
            ("events pi-nowhere --follow", 4, "pi-nowhere"),
        ]
    )


async def test_ill_formed_words_are_2_and_never_reach_an_address(fleet: Fleet) -> None:
    await fleet.refuses_each(
        [
            ("release show web", 2, "'web' is no APP@VERSION"),
            ("rollout start web@1.0.0 -l a=b=c", 2, "selector"),
            ("rollout start web@1.0.0 --set a/b=c", 2, "--set 'a/b=c' is no KEY=VALUE"),
            ("rollout show ../nodes", 2, "rollout id '../nodes' is not allowed"),
            ("rollback web --to new", 2, "'web@new' is no APP@VERSION"),
            ("app remove ../nodes/pi-north --yes", 2, "app name '../nodes/pi-north' is not allowed"),
            ("node label pi-north site=x site-", 2, "'site' cannot be both set and removed"),
            ("node label pi-north site", 2, "label 'site' is no KEY=VALUE"),
            ("node label pi-north", 2, "Missing argument"),
            ("node add Pi_North", 2, "Pi_North"),
            ("node list -l site===x", 2, "selector"),
            ("events pi_north", 2, "pi_north"),
            (["release", "publish", "good.yaml", "--app", "web", "--version", "1.0.0", "--namespace", ""], 2, "namespace name ''"),
        ]
    )


async def test_bad_bundles(fleet: Fleet) -> None:
    contents: list[tuple[str, str, tuple[Any, ...]]] = [
        ("immutable", _CONFIG_MAP % "two", (3, "1.0.0")),
        ("empty", "", (2, "holds no objects")),
        ("comments", "---\n# nothing\n---\n", (2, "holds no objects")),
        ("broken", "a: [1,", (2, "broken.yaml")),
        ("list", "- 1\n", (2, "is a list, not an object")),
        ("secret", _SECRET, (2, "Secret", "--allow-secrets")),
        ("duplicate", _CONFIG_MAP % "a" + "---\n" + _CONFIG_MAP % "b", (2, "ConfigMap default/web: is there twice")),
        ("no-kind", "apiVersion: v1\nmetadata: {name: web}\n", (2, "kind")),
        ("no-version", "kind: ConfigMap\nmetadata: {name: web}\n", (2, "apiVersion")),
        ("no-name", "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n", (2, "name")),
        ("namespace", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: No_Such}\n", (2, "metadata.namespace")),
    ]
    cases = []
    for name, content, expected in contents:
        path = fleet.write(f"{name}.yaml", content)
        cases.append((["release", "publish", str(path), "--app", "web", "--version", "1.0.0"], *expected))
    await fleet.refuses_each(cases)


async def test_a_bundle_of_100_megabytes_is_refused_with_the_limit_and_not_read(fleet: Fleet) -> None:
    path = fleet.folder / "big.yaml"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 100 * 2**20)
    await fleet.refuses(["release", "publish", str(path), "--app", "web", "--version", "2.0.0"], 2, "16777216 (16 MiB)", "split it")


async def test_many_files_that_are_too_much_together_are_refused_too(fleet: Fleet) -> None:
    for number in range(3):
        fleet.write(f"heavy/{number}.yaml", _CONFIG_MAP % ("x" * 6 * 2**20))
    await fleet.refuses(["release", "publish", str(fleet.folder / "heavy"), "--app", "web", "--version", "2.0.0"], 2, "16 MiB")


async def test_a_folder_without_files_and_a_broken_kustomization(fleet: Fleet) -> None:
    fleet.write("barren/readme.txt", "nothing here")
    await fleet.refuses(["release", "publish", str(fleet.folder / "barren"), "--app", "web", "--version", "2.0.0"], 2, "holds no .yaml")
    fleet.write("crooked/kustomization.yaml", "resources: [gone.yaml]\n")
    await fleet.refuses(["release", "publish", str(fleet.folder / "crooked"), "--app", "web", "--version", "2.0.0"], 2, "gone.yaml")


async def test_a_key_that_central_does_not_know_is_refused(fleet: Fleet) -> None:
    key = fleet.folder / "foreign.key"
    key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path = fleet.write("signed.yaml", _CONFIG_MAP % "two")
    words = ["release", "publish", str(path), "--app", "web", "--version", "2.0.0", "--key"]
    await fleet.refuses([*words, str(key)], 3, "sign")
    await fleet.refuses([*words, str(fleet.folder / "no.key")], 2, "no.key")


async def test_a_central_that_is_not_there_is_5(fleet: Fleet) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    with fleet.told(MUNBON_URL=nobody):
        said = (5, nobody, "munbon-central serve", "nodes go on")
        words = ("status", "status --watch", "rollout start web@1.0.0", "node add pi-other", "events pi-north -f")
        await fleet.refuses_each([(each, *said) for each in words])
        error = json.loads((await fleet.operator.try_run("status", "-o", "json")).errors)["error"]
    assert (error["exit_code"], error["code"]) == (5, "Unreachable")


async def test_a_wrong_token_is_6(fleet: Fleet) -> None:
    with fleet.told(MUNBON_TOKEN="wrong"):
        words = ("status", "app remove web --yes", "node add pi-other", "gate plan set north --level g1=2")
        await fleet.refuses_each([(each, 6, "munbon login") for each in words])


async def test_a_question_that_is_declined_changes_nothing(fleet: Fleet) -> None:
    before = await fleet.stands()
    for answer, said in (("n\n", "nothing changed"), ("\n", "nothing changed"), ("", "give --yes")):
        outcome = await fleet.operator.try_run("app", "remove", "web", stdin=answer.encode())
        assert (outcome.exit_code, outcome.output) == (1, "")
        assert said in outcome.errors
        assert outcome.errors.startswith("Delete all objects of web from every node that has it? [y/N]: ")
    forgotten = await fleet.operator.try_run("node", "remove", "pi-south", stdin=b"no\n")
    assert (forgotten.exit_code, "Forget pi-south?" in forgotten.errors) == (1, True)
    assert await fleet.stands() == before
    assert await fleet.central.get("nodes/pi-south")


async def test_a_node_is_not_enrolled_when_its_files_could_not_be_written(fleet: Fleet) -> None:
    taken = fleet.write("taken", "a file, no folder")
    await fleet.refuses(["node", "add", "pi-lost", "--output-dir", str(taken)], 2, "taken", "cannot be written")
    fleet.write("used/agent.toml", "of another node")
    await fleet.refuses(["node", "add", "pi-lost", "--output-dir", str(fleet.folder / "used")], 2, "agent.toml exists there")
