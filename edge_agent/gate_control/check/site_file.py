"""A site together with the file that it stands in. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.gate_control.check.finding import Lines, Path, Remark
from edge_agent.gate_control.model.configuration import SiteConfiguration


@dataclass(frozen=True, eq=False)
class SiteFile:
    """One file of several that are judged together."""

    source: str
    site: SiteConfiguration
    lines: Lines

    @property
    def name(self) -> str:
        """Of the site."""
        return self.site.site

    def at(self, path: Path) -> str:
        """A place in this file, for a finding about another one: `canal-3 (3/site.yaml:64)`."""
        return f"{self.name} ({self.source}:{self.lines.at(path)})"


FileRemark = tuple[SiteFile, Remark]
"""A mistake, and the file to mend it in."""
