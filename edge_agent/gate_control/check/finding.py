"""What is wrong with a site, and where it stands in its file. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.errors import UsageError

Path = tuple[str | int, ...]
"""Keys and list places from the top of the file: `("points", 3, "valid_min")`."""


@dataclass(frozen=True)
class Remark:
    """A mistake before anybody looked for its line."""

    path: Path
    problem: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class Finding:
    """One mistake: where, what, why it matters, and what to do."""

    line: int
    path: str
    problem: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.path}: {self.problem}\n    why: {self.reason}\n    do:  {self.remedy}"


@dataclass(frozen=True)
class Lines:
    """Line (from 1) of every key and list item of a file."""

    places: Mapping[Path, int]

    def at(self, path: Path) -> int:
        """Line of a path; what is not in the file has the line of the nearest thing around it."""
        for length in range(len(path), 0, -1):
            line = self.places.get(path[:length])
            if line is not None:
                return line
        return 1


class SiteInvalid(UsageError):
    """`site.yaml` cannot be used; `findings` has every mistake."""

    def __init__(self, findings: tuple[Finding, ...], *, subject: str) -> None:
        self.findings = findings
        listed = "\n  ".join(str(finding) for finding in findings)
        super().__init__(f"{len(findings)} mistake{'s' if len(findings) != 1 else ''}\n  {listed}", subject=subject)


def place(remarks: list[Remark], lines: Lines) -> tuple[Finding, ...]:
    """Remarks with their lines, in the order of the file; the same one twice counts once."""
    placed = {Finding(lines.at(one.path), path_text(one.path), one.problem, one.reason, one.remedy) for one in remarks}
    return tuple(sorted(placed, key=lambda finding: (finding.line, finding.path, finding.problem)))


def path_text(path: Path) -> str:
    """`points[3].valid_min`; the file itself is `site`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".") or "site"
