"""The page on the local console is that of the code, and every refusal that a person can meet is explained in it."""

import ast
from pathlib import Path

from deploy.gate_cli_docs import TARGET, render

GATE = Path(__file__).parents[3] / "edge_agent" / "gate_control"
SAYS_NO = {"Refused", "Refusal", "Outcome"}


def test_the_page_is_that_of_the_commands() -> None:
    assert TARGET.read_text(encoding="utf-8") == render(), "run: python -m deploy.gate_cli_docs"


def test_each_code_of_a_refusal_is_explained() -> None:
    codes = {code for path in ("decide", "console", "loop") for file in (GATE / path).glob("*.py") for code in codes_in(file)}
    assert {"TaggedOut", "Expired", "Replayed"} <= codes
    page = render()
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []


def codes_in(file: Path) -> set[str]:
    """First words of `Refused("Code", ...)`, `Refusal("Code", ...)` and `Outcome(False, "Code", ...)`."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAYS_NO:
            words = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            found |= {word for word in words[:1] if word.isidentifier() and word[0].isupper()}
    return found
