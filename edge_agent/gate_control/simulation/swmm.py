"""A canal of EPA SWMM 5.2 (pyswmm, extra `sim`) as a plant: full unsteady flow by equations that nobody here wrote.

Only one simulation runs in a process at a time; `close` the plant before the next. What SWMM writes beside its input goes
into a temporary folder. Before time 0 the canal is brought to its target levels by itself.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.simulation.actuators import GateActuator
from edge_agent.gate_control.simulation.asce import AsceCanal
from edge_agent.gate_control.simulation.asce_sites import reservoir_depth_m
from edge_agent.gate_control.simulation.demands import DemandChange, Demands
from edge_agent.gate_control.simulation.gate_laws import opening_for_flow_m
from edge_agent.gate_control.simulation.plant import ActuatorTrouble, PlantCommand, Sample
from edge_agent.gate_control.simulation.swmm_input import STEEP, SwmmModel, SwmmSpacing, swmm_model
from shared.errors import UsageError

SETTLING_S = 2 * 86_400.0
SETTLING_GAIN = 0.08
"""Of area/delay: slow enough for every pool, also late in it."""
SETTING_STEP = 0.1
"""Largest relative change of a gate per step while it settles."""
ACTUATOR_STEP_S = 1.0


@dataclass(frozen=True)
class SwmmSettings:
    """Of one canal.

    Args:
        offtakes_m3s: flow of each pool's offtake at target depth; others of the canal where empty.
        tail_m3s: out of the last pool; None: the canal's own.
        duration_s: how long it may run at most.
    """

    offtakes_m3s: tuple[float, ...] = ()
    tail_m3s: float | None = None
    spacing: SwmmSpacing = STEEP
    duration_s: float = 10 * 86_400.0


class SwmmCanal:
    """A plant. Points and gates are those of a site made by `asce_site`: `g1` above pool `p1`, and so on."""

    def __init__(
        self, canal: AsceCanal, site: SiteConfiguration, settings: SwmmSettings | None = None, changes: Sequence[DemandChange] = ()
    ) -> None:
        """Settles the canal, which takes about a second.

        Raises:
            UsageError: pyswmm is not installed.
            KeyError: a demand of an unknown offtake (`t1`, ..., `tail`).
        """
        chosen = settings or SwmmSettings()
        takes_m3s = chosen.offtakes_m3s or tuple(reach.offtake_m3s for reach in canal.reaches)
        tail_m3s = canal.tail_m3s if chosen.tail_m3s is None else chosen.tail_m3s
        self._canal = canal
        self._model = swmm_model(canal, takes_m3s, tail_m3s, chosen.spacing, (SETTLING_S + chosen.duration_s) / 3600.0)
        self._nominal = dict(zip(self._model.offtakes, zip((*takes_m3s, tail_m3s), self._model.settings, strict=True), strict=True))
        self.demands = Demands({name: flow for name, (flow, _) in self._nominal.items()}, changes)
        self._beds_m = [lower_m for _, lower_m in canal.inverts_m()]
        self._heads_m = [upper_m for upper_m, _ in canal.inverts_m()]
        self._time_s = self._routed_s = -SETTLING_S
        self._sampled_at_s = -SETTLING_S - 1.0
        self._put: dict[str, float] = {}
        openings = self._first_openings_pct(site, takes_m3s, tail_m3s)
        gates = {gate.id: gate for gate in site.gates()}
        self.actuators = {name: GateActuator(gates[name], openings[name]) for name in self._model.gates}
        self._open_simulation(self._model)
        try:
            self._settle()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def time_s(self) -> float:
        """Seconds since the canal was settled."""
        return self._time_s

    @property
    def spilled_m3(self) -> dict[str, float]:
        """Over the banks so far, by pool: SWMM's flooding."""
        return {name: lost_m3 - self._spilled_before_m3[name] for name, lost_m3 in self._flooded_m3().items()}

    @property
    def levels_m(self) -> dict[str, float]:
        """At the far end of each pool, above the datum."""
        return {f"p{number}": self._level_m(node) for number, node in enumerate(self._model.tail_nodes, start=1)}

    def advance(self, until_s: float) -> None:
        """Steps of the actuators, and of the water whenever one is full."""
        while self._time_s + ACTUATOR_STEP_S <= until_s + 1e-9:
            for actuator in self.actuators.values():
                actuator.step(ACTUATOR_STEP_S)
            self._time_s += ACTUATOR_STEP_S
            if self._time_s - self._routed_s >= self._model.step_s - 1e-9:
                self._route()

    def samples(self) -> list[Sample]:
        """Levels, positions and facts as they are now; between two steps of the water it stands still."""
        if self._sampled_at_s == self._time_s:
            return []
        self._sampled_at_s = now_s = self._time_s
        found = [Sample("reservoir", self._heads_m[0] + reservoir_depth_m(self._canal), now_s)]
        for number, (head, tail) in enumerate(zip(self._model.head_nodes, self._model.tail_nodes, strict=True), start=1):
            found.append(Sample(f"p{number}.head", self._level_m(head), now_s))
            found.append(Sample(f"p{number}.tail", self._level_m(tail), now_s))
        for actuator in self.actuators.values():
            found += actuator.samples(now_s)
        return found

    def write(self, gate: str, command: PlantCommand) -> None:
        """Command a gate's actuator."""
        self.actuators[gate].command(command)

    def set_trouble(self, gate: str, trouble: ActuatorTrouble, *, on: bool) -> None:
        """Begin or end a fault of an actuator."""
        self.actuators[gate].set_trouble(trouble, on=on)

    def move_by_hand(self, gate: str, opening_pct: float) -> None:
        """Turn a handwheel."""
        self.actuators[gate].move_by_hand(opening_pct)

    def flow_m3s(self, link: str) -> float:
        """Through a gate or an offtake."""
        return float(self._links[link].flow)

    def close(self) -> None:
        """End the simulation and remove its files."""
        self._closing.close()

    def _open_simulation(self, model: SwmmModel) -> None:
        try:
            import pyswmm
        except ImportError as error:
            raise UsageError("is not installed", subject="pyswmm", remedy="install the extra `sim` (make venv)") from error
        with contextlib.ExitStack() as opening:
            folder = opening.enter_context(tempfile.TemporaryDirectory(prefix="munbon-swmm-"))
            path = Path(folder) / "canal.inp"
            path.write_text(model.text)
            simulation: Any = opening.enter_context(pyswmm.Simulation(str(path)))
            nodes, links = pyswmm.Nodes(simulation), pyswmm.Links(simulation)
            self._nodes: dict[str, Any] = {name: nodes[name] for names in model.nodes for name in names}
            self._links: dict[str, Any] = {name: links[name] for name in (*model.gates, *model.offtakes)}
            # SWMM opens every link when it starts and overwrites what was set before (pyswmm 435, 445)
            simulation.add_after_start(self._put_settings)
            self._steps: Iterator[Any] = iter(simulation)
            self._closing = opening.pop_all()

    def _settle(self) -> None:
        """Give each pool what it needs, a little more or less by its level, until all stand at their targets; then begin.

        Offtakes are set to their nominal flow meanwhile, so that this ends without an error.
        """
        while self._routed_s < 0.0:
            self._put_settings()
            next(self._steps)
            self._routed_s += self._model.step_s
            self._follow_levels()
        self._time_s = self._routed_s = 0.0
        self._spilled_before_m3 = self._flooded_m3()

    def _follow_levels(self) -> None:
        needed_m3s = self._nominal["tail"][0]
        for number in range(len(self._canal.reaches), 0, -1):
            reach, actuator = self._canal.reaches[number - 1], self.actuators[f"g{number}"]
            error_m = reach.target_depth_m - float(self._nodes[self._model.tail_nodes[number - 1]].depth)
            gain = SETTLING_GAIN * reach.low[1] / (reach.low[0] + 60.0)
            needed_m3s = max(0.02, needed_m3s + self._nominal[f"t{number}"][0] + gain * error_m)
            share = needed_m3s / max(0.01, self.flow_m3s(actuator.gate.id))
            share = max(1.0 - SETTING_STEP, min(1.0 + SETTING_STEP, share))
            actuator.position_pct = max(0.1, min(100.0, actuator.position_pct * share))
            actuator.desired_pct = actuator.position_pct
        for name, (nominal_m3s, setting) in self._nominal.items():
            if nominal_m3s > 0.0:
                share = nominal_m3s / max(0.01, self.flow_m3s(name))
                self._nominal[name] = (nominal_m3s, min(1.0, setting * max(0.99, min(1.01, share))))

    def _route(self) -> None:
        self.demands.advance(self._routed_s)
        self._put_settings()
        next(self._steps)
        self._routed_s += self._model.step_s

    def _put_settings(self) -> None:
        wanted = {name: actuator.position_pct / 100.0 for name, actuator in self.actuators.items()}
        for name, (nominal_m3s, setting) in self._nominal.items():
            wanted[name] = setting * self.demands.flows_m3s[name] / nominal_m3s if nominal_m3s > 0.0 else 0.0
        for name, setting in wanted.items():
            if self._put.get(name) != setting:
                self._links[name].target_setting = min(1.0, setting)
        self._put = wanted

    def _flooded_m3(self) -> dict[str, float]:
        return {
            f"p{number}": sum(float(self._nodes[name].statistics["flooding_volume"]) for name in names)
            for number, names in enumerate(self._model.nodes, start=1)
        }

    def _level_m(self, node: str) -> float:
        return float(self._nodes[node].head)

    def _first_openings_pct(self, site: SiteConfiguration, takes_m3s: Sequence[float], tail_m3s: float) -> dict[str, float]:
        """Near enough; the settling does the rest."""
        found: dict[str, float] = {}
        for index, name in enumerate(self._model.gates):
            gate = site.gate(name)
            if gate is None:
                raise UsageError(f"has no gate {name}", subject=f"site {site.site}", remedy="make it with asce_site for the same canal")
            flow_m3s = sum(takes_m3s[index:]) + tail_m3s
            above_m = (
                self._heads_m[0] + reservoir_depth_m(self._canal)
                if index == 0
                else self._beds_m[index - 1] + self._canal.reaches[index - 1].target_depth_m
            )
            below_m = max(self._heads_m[index] + 0.5, self._beds_m[index] + self._canal.reaches[index].target_depth_m)
            opening_m = opening_for_flow_m(gate.geometry, flow_m3s, above_m, below_m)
            found[name] = 100.0 * opening_m / gate.geometry.height_m
        return found
