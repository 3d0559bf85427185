"""The checkout as the architecture tests see it: its files, folders and import graph."""

import functools
import subprocess
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("central", "edge_agent", "shared")
# Alembic loads these by path, in its own shape; they are a record of the past and are not rewritten.
MIGRATIONS = "central/store/migrations"


@functools.cache
def graph() -> grimp.ImportGraph:
    """All imports of the product, also those for type checkers alone; libraries by the name of their top package."""
    return grimp.build_graph(*PRODUCT, include_external_packages=True, cache_dir=None)


def python_files(*folders: str) -> list[str]:
    """Python files under these folders, relative to the checkout."""
    found = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return [str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts]


def module_file(module: str) -> Path:
    """The file of a module of the product."""
    base = ROOT.joinpath(*module.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def read(path: str) -> str:
    """The text of a file, by its path relative to the checkout."""
    return (ROOT / path).read_text(encoding="utf-8")


def lock_files() -> list[str]:
    """Files that say what to fetch: tracked by git, or in a checkout without git whatever is there."""
    names = ("*.lock", "go.mod", "go.sum", "package-lock.json", "requirements/*.txt", "requirements/*.in")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *names, *(f"**/{name}" for name in names)], cwd=ROOT, capture_output=True, check=False
    )
    if listed.returncode == 0:
        return sorted({name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).exists()})
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / "requirements").glob("*.*"))
