"""Plain YAML scalars as kubectl reads them. Pure.

kubectl reads YAML through sigs.k8s.io/yaml: YAML 1.1 words for booleans, Go's integer prefixes, no base-60 numbers and no dates. The table
in tests/contract/yaml holds each case against the real kubectl.
"""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["null", "bool", "int", "float", "str", "merge", "refused"]

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE = frozenset({"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_NO_JSON = frozenset({sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")} | {".nan", ".NaN", ".NAN"})
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_UINT64_MAX = 2**64 - 1
_INT64_MIN = -(2**63)


def classify(text: str) -> Kind:
    """What kubectl takes a plain (unquoted) scalar for; `refused` are infinities and NaN, which JSON cannot hold."""
    if text in _NULLS:
        return "null"
    if text in _TRUE or text in _FALSE:
        return "bool"
    if text == "<<":
        return "merge"
    if text in _NO_JSON:
        return "refused"
    if text[0] not in "+-.0123456789":
        return "str"
    plain = text.replace("_", "")
    if text[0] != "." and parse_integer(plain) is not None:
        return "int"
    return "float" if _FLOAT.fullmatch(plain) else "str"


def parse_bool(text: str) -> bool:
    """Value of a scalar that `classify` calls bool."""
    return text in _TRUE


def parse_integer(text: str) -> int | None:
    """Integer by Go's rules for base 0 (0x, 0b, 0o, and a leading 0 is octal), or None where it is none or beyond 64 bits."""
    if not _INTEGER.fullmatch(text):
        return None
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.removeprefix("+"))
    lowered = digits.lower()
    if lowered.startswith(("0x", "0b", "0o")):
        value = sign * int(lowered[2:], {"x": 16, "b": 2, "o": 8}[lowered[1]])
    elif len(lowered) > 1 and lowered[0] == "0":
        value = sign * int(lowered, 8)
    else:
        value = sign * int(lowered)
    return value if _INT64_MIN <= value <= _UINT64_MAX else None
