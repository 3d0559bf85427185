"""What a process that starts takes up of the state that one before it saved. Pure.

Rule: what people said (modes, tags, trips, latches, alarms, orders) survives everything; what was only seen is seen anew. A
start observes, and starts no motion. With no saved state every gate observes until it is armed at the site.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge_agent.gate_control.decide import alarms, drawdown, modes, starts
from edge_agent.gate_control.decide.modes import GateModes
from edge_agent.gate_control.decide.orders import after_boot, lost_state
from edge_agent.gate_control.decide.starts import record_stop
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import GateState, InterlockState, Now


@dataclass(frozen=True)
class SavedState:
    """A state as it was saved."""

    state: SiteState
    boot_id: str
    monotonic_s: float
    wall_s: float
    """Seconds since 1970."""
    wall_is_trusted: bool


def saved_state(state: SiteState, boot_id: str, now: Now) -> SavedState:
    """What to save of a scan."""
    return SavedState(state, boot_id, now.monotonic_s, now.wall.timestamp(), now.wall_is_trusted)


def restore(saved: SavedState | None, gates: Iterable[str], boot_id: str, now: Now) -> SiteState:
    """The state to begin with. Within a boot the controllers go on where their last step is young; else all is found anew."""
    if saved is None:
        return SiteState(modes={gate: GateModes() for gate in gates}, orders=lost_state())
    state = replace(
        saved.state,
        modes={gate: modes.after_restart(saved.state.modes.get(gate, GateModes())) for gate in gates},
        gates={name: GateState(interlocks=_latches(gate.interlocks)) for name, gate in saved.state.gates.items()},
        starts={name: record_stop(history, saved.monotonic_s) for name, history in saved.state.starts.items()},
        flows_m3s={},
        flow_doubts={},
    )
    if saved.boot_id == boot_id and saved.monotonic_s <= now.monotonic_s:
        return state
    elapsed_s = now.wall.timestamp() - saved.wall_s if now.wall_is_trusted and saved.wall_is_trusted else None
    moved = (saved.monotonic_s, elapsed_s, now.monotonic_s)
    return replace(
        state,
        starts={name: starts.move_to_boot(history, *moved) for name, history in state.starts.items()},
        levels={name: drawdown.move_to_boot(history, *moved) for name, history in state.levels.items()},
        alarms=alarms.move_to_boot(state.alarms, *moved),
        controllers={},
        orders=after_boot(state.orders),
    )


def with_late(current: SiteState, saved: SavedState) -> SiteState:
    """The present state, once a slow disk gives the saved one after people already acted on none: what forbids holds, of either."""
    found: dict[str, GateModes] = {}
    for gate, now in current.modes.items():
        before = saved.state.modes.get(gate, GateModes())
        tags = (*now.tags, *(tag for tag in before.tags if tag not in now.tags))
        found[gate] = replace(now, tags=tags, trip=now.trip or before.trip, stopped_by=now.stopped_by or before.stopped_by)
    return replace(current, modes=found, alarms={**saved.state.alarms, **current.alarms})


def with_alarms_since(saved: SiteState, current: SiteState) -> SiteState:
    """The saved state, with the alarms that came while it was not known yet: they were told, and do not come a second time."""
    came = {key: alarm for key, alarm in current.alarms.items() if alarm.is_on and not (key in saved.alarms and saved.alarms[key].is_on)}
    return replace(saved, alarms={**saved.alarms, **came}) if came else saved


def durable_part(state: SiteState) -> tuple[object, ...]:
    """What must reach the disk at once when it changes: what people said, alarms, orders, latches and starts; not what moves each scan.

    A start is among them, for a process that is killed again and again would else begin each time with a full budget.
    """
    facts = {name: replace(gate, selector=GateModes().selector, health=GateModes().health) for name, gate in state.modes.items()}
    accounts = {name: (account.started_wall_s, account.ending, account.is_suspended) for name, account in state.orders.accounts.items()}
    phases = {key: (alarm.phase, alarm.acknowledged_by, alarm.shelved_until_s) for key, alarm in state.alarms.items()}
    tripped = {name: [rule for rule, held in gate.interlocks.items() if held.tripped] for name, gate in state.gates.items()}
    starts_so_far = {name: (history.opening_starts, history.closing_starts) for name, history in state.starts.items()}
    return facts, accounts, phases, tripped, starts_so_far


def _latches(interlocks: Mapping[str, InterlockState]) -> dict[str, InterlockState]:
    """A tripped interlock is still tripped; a delay that ran begins anew."""
    return {name: replace(held, since_s=None) for name, held in interlocks.items() if held.tripped}
