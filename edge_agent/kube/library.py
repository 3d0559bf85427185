"""The lean import of kubernetes_asyncio: kubeconfig loading without the models (kubernetes.md 6: 33 MB and 0.2 s less).

The library's packages import everything below them. Empty namespaces stand in for `kubernetes_asyncio` and its `client`,
so that only the modules that are named here get loaded. Written against 36.1.0, which is pinned.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # never run, as it would import everything; it shows the machine that checks imports what _load does
    import kubernetes_asyncio  # noqa: F401

_ROOT = "kubernetes_asyncio"


def _stand_in(name: str, folder: Path) -> ModuleType:
    """A package that knows where its modules are and imports none of them."""
    module = ModuleType(name)
    module.__path__ = [str(folder)]
    sys.modules[name] = module
    parent, _, leaf = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], leaf, module)
    return module


def _load() -> tuple[Any, Any]:
    if _ROOT not in sys.modules:
        spec = importlib.util.find_spec(_ROOT)
        if spec is None or not spec.submodule_search_locations:
            raise ImportError("kubernetes_asyncio is not installed; install munbon[agent]")
        root = Path(spec.submodule_search_locations[0])
        _stand_in(_ROOT, root)
        client = _stand_in(f"{_ROOT}.client", root / "client")
        client.Configuration = importlib.import_module(f"{_ROOT}.client.configuration").Configuration  # type: ignore[attr-defined]
        # config.kube_config names it, and uses it only in functions that we never call
        client.ApiClient = None  # type: ignore[attr-defined]
    kube_config = importlib.import_module(f"{_ROOT}.config.kube_config")
    return sys.modules[f"{_ROOT}.client"].Configuration, kube_config


Configuration, kube_config = _load()


async def load_kubeconfig(path: Path) -> Any:
    """The library's `Configuration` for the current context of a kubeconfig.

    Embedded certificates are written to temporary files; call `forget_temporary_files` when they have been read.
    """
    configuration = Configuration()
    await kube_config.load_kube_config(config_file=str(path), client_configuration=configuration, persist_config=False)
    return configuration


def forget_temporary_files() -> None:
    """Remove the copies of certificates and keys that loading wrote to the temporary folder: a kill -9 would leave them."""
    kube_config._cleanup_temp_files()
