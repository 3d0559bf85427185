"""Where the local cluster keeps what is outside the tree: built binaries, records of what runs, states of clusters."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$MUNBON_CACHE`, else `$XDG_CACHE_HOME/munbon`, else `~/.cache/munbon`; below it `local-cluster`. Made if missing."""
    chosen = os.environ.get("MUNBON_CACHE")
    base = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "munbon"
    return _made(base.expanduser() / "local-cluster")


def records_folder() -> Path:
    """One JSON file for each cluster that runs, or whose owner died before it could tidy up."""
    return _made(cache_folder() / "run" / "records")


def states_folder() -> Path:
    """States of clusters whose caller named no folder."""
    return _made(cache_folder() / "run" / "states")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
