"""The rules that import-linter has no contract for, as functions from source text or names to a list of complaints.

Each takes plain values and gives plain sentences, so that test_rules_bite.py can show on small samples that it bites.
"""

import ast
import re
from collections.abc import Iterable, Mapping

# What decides, and so may neither read nor wait: state and time come in, answers go out.
PURE = (
    "central.compose",
    "central.rollout",
    "central.fleet",
    "central.policy",
    "central.model",
    "edge_agent.decide",
    "edge_agent.plan",
    "edge_agent.assess",
    "edge_agent.model",
    "edge_agent.gate_control.validate",
    "edge_agent.gate_control.replay",
    "edge_agent.gate_control.update.next_step",
    "edge_agent.gate_control.wire",
    "edge_agent.gate_control.decide",
    "edge_agent.gate_control.model",
    "shared.contracts",
    "shared.errors",
    "shared.chart",
)
# Besides each other, pure modules may import these alone: data types and arithmetic, nothing that reads, waits or guesses.
PURE_MAY_IMPORT = frozenset(
    [
        "__future__",
        "abc",
        "base64",
        "binascii",
        "bisect",
        "collections",
        "copy",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "graphlib",
        "hashlib",
        "heapq",
        "ipaddress",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "statistics",
        "string",
        "struct",
        "textwrap",
        "types",
        "typing",
        "unicodedata",
        "annotated_types",
        "pydantic",
        "pydantic_core",
        "typing_extensions",
    ]
)
IMPURE_CALLS = frozenset({"open", "print", "input", "exec", "eval", "compile", "__import__", "breakpoint"})

# The programs; a module that only one of them needs belongs to that one, and not into shared.
PROGRAMS = {
    "laptop": ("central.cli", "central.render"),
    "central": ("central",),
    "gate": ("edge_agent.gate_control",),
    "agent": ("edge_agent",),
}

FOLDER_WORDS = ("Takes", "Gives", "May import", "Never")
FILE_LINES = 400
TEST_FILE_LINES = 500
FUNCTION_LINES = 60

# An address, an option that names one, or a bare host name: where packages come from is the machine's business.
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://|--(?:index-url|extra-index-url|find-links|trusted-host)", re.IGNORECASE)
HOST = re.compile(r"(?<![\w./-])(?:[a-z0-9-]+\.)+(?:com|org|net|io|dev|cloud)(?![\w-])", re.IGNORECASE)


def is_in(module: str, packages: Iterable[str]) -> bool:
    """Whether a module is one of these packages or inside one."""
    return any(module == package or module.startswith(package + ".") for package in packages)


def impure_imports(module: str, imported: Iterable[str]) -> list[str]:
    """What a pure module imports though it may not."""
    strangers = sorted(name for name in imported if not is_in(name, PURE) and name.split(".")[0] not in PURE_MAY_IMPORT)
    return [f"{module} is pure and may not import {name}" for name in strangers]


def impure_code(module: str, source: str) -> list[str]:
    """Built-ins and coroutines in a pure module."""
    complaints = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            complaints.append(f"{module}:{node.lineno}: a pure module never waits")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            complaints.append(f"{module}:{node.lineno}: {node.func.id}() in a pure module")
    return complaints


def folder_docstring(folder: str, init_source: str | None) -> list[str]:
    """What the docstring of a folder's __init__.py leaves unsaid; None stands for a folder without one."""
    if init_source is None:
        return [f"{folder}: no __init__.py"]
    said = ast.get_docstring(ast.parse(init_source)) or ""
    return [f"{folder}/__init__.py: the docstring does not say '{word}:'" for word in FOLDER_WORDS if f"{word}:" not in said]


def too_long(path: str, source: str) -> list[str]:
    """Files and functions over their budget of lines."""
    complaints = []
    lines = source.count("\n")
    budget = TEST_FILE_LINES if path.startswith("tests/") else FILE_LINES
    if lines > budget:
        complaints.append(f"{path}: {lines} lines, {budget} at most")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                complaints.append(f"{path}:{node.lineno}: {node.name} has {length} lines, {FUNCTION_LINES} at most")
    return complaints


def program_of(module: str) -> str | None:
    """The program that a module belongs to; None for shared."""
    return next((program for program, packages in PROGRAMS.items() if is_in(module, packages)), None)


def one_sided(users: Mapping[str, Iterable[str]]) -> list[str]:
    """Modules of shared that fewer than two programs need.

    Args:
        users: for each module of shared all modules that import it, directly or through others.
    """
    complaints = []
    for module, importers in sorted(users.items()):
        programs = sorted({program for importer in importers if (program := program_of(importer))})
        if len(programs) < 2:
            complaints.append(f"{module} is needed by {programs[0] if programs else 'no program'} alone: it does not belong in shared")
    return complaints


def addresses(path: str, text: str) -> list[str]:
    """Addresses of package indexes and download hosts in a lock file; module paths of Go look like hosts and may stay."""
    patterns = (ADDRESS,) if path.rsplit("/", 1)[-1].startswith("go.") else (ADDRESS, HOST)
    return [
        f"{path}:{number}: names an address: {line.strip()}"
        for number, line in enumerate(text.splitlines(), start=1)
        if any(pattern.search(line) for pattern in patterns)
    ]


def production_importing_tests(path: str, source: str) -> list[str]:
    """Imports of tests or deploy in the product; the folders of tests have no __init__.py, so import-linter cannot see into them."""
    complaints = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        complaints += [f"{path}:{node.lineno}: imports {name}" for name in names if is_in(name, ("tests", "deploy"))]
    return complaints
