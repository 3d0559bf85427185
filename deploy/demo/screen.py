"""The live view: the steps of the story on top, the fleet as central sees it below. Plain lines where there is no terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from central.cli.status import render as render_fleet
from deploy.harness.world import World
from shared.clock import SystemClock
from shared.contracts.api import FleetStatus
from shared.errors import MunbonError

_REFRESH_S = 0.5


@dataclass
class StepLine:
    """One step as it is shown."""

    title: str
    state: str = "waiting"
    duration_s: float = 0.0
    findings: list[str] = field(default_factory=list)


class Screen:
    """Shows steps and fleet; `tell` also keeps what was said for the closing table."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.clock = SystemClock()
        self.lines: list[StepLine] = []
        self.fleet: FleetStatus | None = None
        self._live: Live | None = None

    def begin(self, title: str) -> StepLine:
        """A step starts."""
        line = StepLine(title, "running")
        self.lines.append(line)
        if self._live is None:
            self.console.print(f"[bold]▶ {title}[/]")
        return line

    def tell(self, line: StepLine, finding: str) -> None:
        """Something that the step found out."""
        line.findings.append(finding)
        if self._live is None:
            self.console.print(f"  {finding}", markup=False)
        self.refresh()

    def end(self, line: StepLine, *, held: bool, duration_s: float) -> None:
        """A step is over."""
        line.state = "held" if held else "FAILED"
        line.duration_s = duration_s
        if self._live is None:
            self.console.print(f"  [{'green' if held else 'red'}]{line.state}[/] after {duration_s:.1f} s")
        self.refresh()

    def refresh(self) -> None:
        """Draw again."""
        if self._live is not None:
            self._live.update(self._render())

    @asynccontextmanager
    async def watching(self, world: World) -> AsyncIterator[None]:
        """Follow the fleet in the background while the block runs."""
        task = asyncio.create_task(self._follow(world))
        live = (
            Live(self._render(), console=self.console, refresh_per_second=4, vertical_overflow="visible")
            if self.console.is_terminal
            else None
        )
        self._live = live
        try:
            if live is not None:
                live.start()
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if live is not None:
                live.stop()
            self._live = None

    def closing_table(self) -> Table:
        """All steps with what they showed."""
        table = Table(title="What was shown", title_justify="left")
        for column in ("step", "held", "seconds", "what was seen"):
            table.add_column(column, overflow="fold")
        for number, line in enumerate(self.lines, 1):
            colour = "green" if line.state == "held" else "red"
            table.add_row(f"{number}. {line.title}", f"[{colour}]{line.state}[/]", f"{line.duration_s:.1f}", Text("\n".join(line.findings)))
        return table

    async def _follow(self, world: World) -> None:
        while True:
            try:
                self.fleet = await world.status()
            except (MunbonError, httpx.HTTPError, OSError):
                self.fleet = None
            self.refresh()
            await self.clock.sleep(_REFRESH_S)

    def _render(self) -> RenderableType:
        parts: list[RenderableType] = []
        for line in self.lines:
            mark = {"held": "[green]✔[/]", "FAILED": "[red]✘[/]"}.get(line.state, "[cyan]▶[/]")
            parts.append(Text.from_markup(f"{mark} {line.title}" + (f"  [dim]{line.duration_s:.1f} s[/]" if line.duration_s else "")))
            parts += [Text(f"    {finding}", style="dim") for finding in line.findings]
        fleet: RenderableType = render_fleet(self.fleet) if self.fleet is not None else Text("central does not answer now", style="yellow")
        return Group(*parts, Text(""), fleet)
