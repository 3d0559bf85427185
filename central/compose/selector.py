"""Label selectors with kubectl's grammar and meaning: `a=b`, `a==b`, `a!=b`, `a in (x,y)`, `a notin (x)`, `a`, `!a`, joined by commas.

A requirement with `!=` or `notin` also matches a node that lacks the key, as in Kubernetes. Its `a>1` and `a<1` are
left out: they are refused, never read as something else.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from shared.errors import UsageError

_TOKEN = re.compile(r"\s*(==|!=|=|!|,|\(|\)|>|<|[^\s=!,()<>]+)")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SYMBOLS = frozenset({"==", "!=", "=", "!", ",", "(", ")", ">", "<"})
_MAX_NAME = 63
_MAX_PREFIX = 253
_END = ""
_HELP = "write it as for kubectl -l, for example: site=north,canal in (a,b),!retired"


class Operator(StrEnum):
    """How a requirement looks at its key."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    MISSING = "missing"


@dataclass(frozen=True, order=True)
class Requirement:
    """One condition. `values` is sorted and without repeats, empty for EXISTS and MISSING."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels fulfil it."""
        if self.operator is Operator.IN:
            return self.key in labels and labels[self.key] in self.values
        if self.operator is Operator.NOT_IN:
            return self.key not in labels or labels[self.key] not in self.values
        return (self.key in labels) is (self.operator is Operator.EXISTS)

    def __str__(self) -> str:
        if self.operator is Operator.EXISTS:
            return self.key
        if self.operator is Operator.MISSING:
            return f"!{self.key}"
        if len(self.values) == 1:
            return f"{self.key}{'=' if self.operator is Operator.IN else '!='}{self.values[0]}"
        return f"{self.key} {self.operator.value} ({','.join(self.values)})"


@dataclass(frozen=True)
class Selector:
    """All requirements must hold; none selects everything. `str()` is one spelling for equal selectors."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a node with these labels is selected."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


@functools.lru_cache(maxsize=4096)
def parse_selector(text: str) -> Selector:
    """Selector of a text; empty or blank selects every node.

    Raises:
        UsageError: it does not keep the grammar, or a key or value could not be a label's.
    """
    parser = _Parser(text)
    return Selector(tuple(sorted(set(parser.requirements()))))


def normalise_selector(text: str) -> str:
    """One spelling for selectors that mean the same: sorted, without blanks, `==` as `=`.

    Raises:
        UsageError: as `parse_selector`.
    """
    return str(parse_selector(text))


class _Parser:
    """Recursive descent over the tokens of one selector."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0

    def requirements(self) -> list[Requirement]:
        """All of them."""
        found: list[Requirement] = []
        if self._peek() == _END:
            return found
        while True:
            found.append(self._requirement())
            token = self._take()
            if token == _END:
                return found
            if token != ",":
                self._fail(f"expected ',' or the end, found {token!r}")
            if self._peek() == _END:
                self._fail("ends with a comma")

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._take()
            return Requirement(self._key(), Operator.MISSING)
        key = self._key()
        token = self._peek()
        if token in (_END, ","):
            return Requirement(key, Operator.EXISTS)
        self._take()
        if token in ("=", "=="):
            return Requirement(key, Operator.IN, (self._one_value(),))
        if token == "!=":
            return Requirement(key, Operator.NOT_IN, (self._one_value(),))
        if token in ("in", "notin"):
            return Requirement(key, Operator.IN if token == "in" else Operator.NOT_IN, self._values())
        self._fail(f"after {key!r} expected one of = == != in notin, found {token!r}")

    def _key(self) -> str:
        token = self._take()
        if token == _END or token in _SYMBOLS:
            self._fail(f"expected a label key, found {token!r}" if token else "expected a label key, found the end")
        prefix, slash, name = token.rpartition("/")
        good_prefix = not slash or (len(prefix) <= _MAX_PREFIX and _PREFIX.fullmatch(prefix) is not None)
        if not good_prefix or len(name) > _MAX_NAME or not _NAME.fullmatch(name):
            self._fail(f"{token!r} cannot be a label key")
        return token

    def _one_value(self) -> str:
        # `a=` asks for the empty value, as in kubectl
        return self._value() if self._peek() not in (_END, ",") else ""

    def _value(self) -> str:
        token = self._take()
        if token == _END or token in _SYMBOLS:
            self._fail(f"expected a value, found {token!r}" if token else "expected a value, found the end")
        if len(token) > _MAX_NAME or not _NAME.fullmatch(token):
            self._fail(f"{token!r} cannot be a label value (letters, digits, '-', '_', '.', at most {_MAX_NAME})")
        return token

    def _values(self) -> tuple[str, ...]:
        if self._take() != "(":
            self._fail("expected '(' after in or notin")
        values: set[str] = set()
        while True:
            # as in Kubernetes, an empty place in the list is the empty value: `a in (,x)`
            values.add("" if self._peek() in (",", ")") else self._value())
            token = self._take()
            if token == ")":
                return tuple(sorted(values))
            if token != ",":
                self._fail(f"expected ',' or ')' in the list, found {token!r}" if token else "the list has no ')'")

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else _END

    def _take(self) -> str:
        token = self._peek()
        self._next += 1
        return token

    def _fail(self, reason: str) -> NoReturn:
        raise UsageError(f"{self._text!r}: {reason}", subject="selector", remedy=_HELP)


def _tokens(text: str) -> list[str]:
    # every character is a token, part of one, or blank: the pattern cannot stop before the end
    return _TOKEN.findall(text)
