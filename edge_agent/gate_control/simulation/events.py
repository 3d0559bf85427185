"""What happens to a site while it is simulated. Times are seconds of the plant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from edge_agent.gate_control.decide.modes import Place, Role
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.simulation.plant import ActuatorTrouble
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_plan import GatePlan
from shared.contracts.gate_socket import SiteAction, SiteVerb

FOR_EVER_S = float("inf")


class SensorTrouble(StrEnum):
    """What can be wrong with a sensor; `value` of the fault is in the point's unit unless it says otherwise."""

    FROZEN = "frozen"
    """The last value again and again, as if new."""
    LATE = "late"
    """Each value comes `value` seconds after it was sampled, and says so."""
    STALE = "stale"
    """Nothing new comes; what waited comes in a burst at the end."""
    SILENT = "silent"
    """No answer, and nothing is made up for later."""
    NAN = "nan"
    BIAS = "bias"
    """`value` is added."""
    NOISE = "noise"
    """Normal noise of standard deviation `value` on top."""
    FIXED = "fixed"
    """`value`, whatever the water does."""


@dataclass(frozen=True)
class Kill:
    """The process of a site dies at once (SIGKILL, power); nothing is written any more. Empty site: every one."""

    at_s: float
    site: str = ""


@dataclass(frozen=True)
class Restart:
    """The process starts again from what is on disk. `reboot`: with a new boot, its monotonic clock at 0."""

    at_s: float
    site: str = ""
    reboot: bool = False
    wall_is_trusted: bool = True
    wall_error_s: float = 0.0
    """How far the wall clock is off after a reboot; a Pi without a battery goes on from its last shutdown."""


@dataclass(frozen=True)
class ClockStep:
    """The wall clock of a site jumps."""

    at_s: float
    step_s: float
    site: str = ""
    wall_is_trusted: bool = True


@dataclass(frozen=True)
class Command:
    """A person asks something; the answer stands in the run."""

    at_s: float
    action: GateAction | SiteAction
    site: str = ""
    place: Place = Place.CONSOLE
    role: Role = Role.MAINTAINER
    author: str = "operator"


@dataclass(frozen=True)
class NewPlan:
    """A plan arrives; whether it was accepted stands in the run."""

    at_s: float
    plan: GatePlan


@dataclass(frozen=True)
class LinkCut:
    """A site no longer hears its neighbours: its remote points fall silent."""

    at_s: float
    until_s: float = FOR_EVER_S
    site: str = ""


@dataclass(frozen=True)
class SensorFault:
    """A point goes wrong for every site that reads it."""

    at_s: float
    point: str
    trouble: SensorTrouble
    until_s: float = FOR_EVER_S
    value: float = 0.0


@dataclass(frozen=True)
class ActuatorFault:
    """An actuator goes wrong; the plant must be a `FaultyPlant`."""

    at_s: float
    gate: str
    trouble: ActuatorTrouble
    until_s: float = FOR_EVER_S


@dataclass(frozen=True)
class WriteFault:
    """Commands to a gate are refused on the way."""

    at_s: float
    gate: str
    until_s: float = FOR_EVER_S


@dataclass(frozen=True)
class Handwheel:
    """Somebody turns a gate by hand; the plant must be a `FaultyPlant`."""

    at_s: float
    gate: str
    opening_pct: float


Event = Kill | Restart | ClockStep | Command | NewPlan | LinkCut | SensorFault | ActuatorFault | WriteFault | Handwheel


@dataclass(frozen=True)
class Moment:
    """The beginning or the end of an event."""

    at_s: float
    event: Event
    begins: bool = True


def moments(events: Iterable[Event]) -> list[Moment]:
    """Beginnings and ends in the order of time; at the same time ends first, else as given."""
    found: list[Moment] = []
    for event in events:
        found.append(Moment(event.at_s, event))
        until_s = getattr(event, "until_s", FOR_EVER_S)
        if until_s != FOR_EVER_S:
            found.append(Moment(until_s, event, begins=False))
    return sorted(found, key=lambda moment: (moment.at_s, moment.begins))


def put_in_service(site: SiteConfiguration, at_s: float = 0.0) -> tuple[Event, ...]:
    """What a person does at the site of a new gate: arms it and gives it to auto."""
    found: list[Event] = []
    for gate in site.gates():
        found.append(Command(at_s, SiteAction(gate=gate.id, verb=SiteVerb.ARM), site.site))
        found.append(Command(at_s, GateAction(gate=gate.id, verb=GateVerb.MODE, params={"mode": "auto"}), site.site))
    return tuple(found)


def power_cut(at_s: float, for_s: float, site: str = "", *, wall_is_trusted: bool = False) -> tuple[Event, ...]:
    """Mains and battery gone; a Pi without a clock chip wakes up at the time of its end."""
    back = Restart(at_s + for_s, site, reboot=True, wall_is_trusted=wall_is_trusted, wall_error_s=0.0 if wall_is_trusted else -for_s)
    return Kill(at_s, site), back
