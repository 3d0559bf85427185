"""What people ask of a site, carried out on its facts: signed from afar, or asked at the console. Pure.

One instruction in, the facts and an outcome out; refused, all stays as it was. An instruction for the whole site is carried out
for each gate, and accepted when one gate accepts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.gate_control.decide.alarms import AlarmChange, AlarmRules, Alarms, Phase, acknowledge, shelve, unshelve
from edge_agent.gate_control.decide.interlocks import reset_interlock
from edge_agent.gate_control.decide.mode_commands import Answer, ModeCommand, ModeVerb, Refused, apply_command
from edge_agent.gate_control.decide.modes import GateModes, Place, Role, Source
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import Now
from shared.contracts.gate_command import (
    AckParams,
    GateAction,
    GateVerb,
    ModeParams,
    MoveParams,
    ServiceParams,
    ShelveParams,
    UnshelveParams,
)
from shared.contracts.gate_socket import SiteAction

ALARM_VERBS = frozenset({GateVerb.ACK, GateVerb.SHELVE, GateVerb.UNSHELVE})


@dataclass(frozen=True)
class Instruction:
    """Something to be done, by whom, and from where."""

    id: str
    action: GateAction | SiteAction
    author: str
    role: Role
    place: Place
    note: str = ""
    code: str = ""
    """Made for the first step of taking off a tag; hard to guess."""

    @property
    def verb(self) -> str:
        """For the journal and for answers."""
        return self.action.verb.value


@dataclass(frozen=True)
class Outcome:
    """What became of an instruction."""

    accepted: bool
    code: str = ""
    reason: str = ""
    reasons: tuple[str, ...] = ()
    data: Mapping[str, str | float] = field(default_factory=dict)


def carry_out(
    state: SiteState, instruction: Instruction, rules: AlarmRules, now: Now
) -> tuple[SiteState, tuple[AlarmChange, ...], Outcome]:
    """The site after an instruction, alarm changes for the journal, and what became of it. It moves nothing: the scan then decides."""
    if instruction.action.verb in ALARM_VERBS:
        alarms, changes, outcome = change_alarms(state.alarms, rules, instruction, now)
        return replace(state, alarms=alarms), changes, outcome
    modes, outcome = change_modes(state.modes, instruction, now)
    state = replace(state, modes=modes)
    if instruction.verb == ModeVerb.RESET_TRIP.value:
        state, outcome = _reset_latches(state, instruction.action.gate, outcome)
    return state, (), outcome


def carry_out_each(
    state: SiteState, instructions: Sequence[Instruction], rules: AlarmRules, now: Now
) -> tuple[SiteState, tuple[AlarmChange, ...], tuple[Outcome, ...]]:
    """One after the other; a fault of ours in one is that one's outcome and changes nothing."""
    changes: tuple[AlarmChange, ...] = ()
    outcomes: list[Outcome] = []
    for instruction in instructions:
        try:
            state, more, outcome = carry_out(state, instruction, rules, now)
        except Exception as error:  # noqa: BLE001 - outermost guard of one instruction: it must end neither the scan nor the others
            more, outcome = (), Outcome(False, "Failed", f"the gate met an error of its own: {type(error).__name__}: {error}")
        changes += more
        outcomes.append(outcome)
    return state, changes, tuple(outcomes)


def _reset_latches(state: SiteState, named: str, outcome: Outcome) -> tuple[SiteState, Outcome]:
    """Who may reset a trip also resets latched interlocks; one whose cause is still there trips again in the scan that follows."""
    if not outcome.accepted and outcome.code != "NothingToDo":
        return state, outcome
    gates = dict(state.gates)
    said: list[str] = []
    for gate, held in state.gates.items():
        latched = [name for name, interlock in held.interlocks.items() if interlock.is_latched]
        if latched and named in ("", gate):
            interlocks = held.interlocks
            for name in latched:
                interlocks = reset_interlock(interlocks, name)
            gates[gate] = replace(held, interlocks=interlocks)
            said.append(f"gate {gate}: interlock {', '.join(latched)} reset")
    if not said:
        return state, outcome
    before = outcome.reasons if outcome.accepted else ()
    return replace(state, gates=gates), Outcome(True, reasons=(*before, *said))


def change_modes(modes: Mapping[str, GateModes], instruction: Instruction, now: Now) -> tuple[dict[str, GateModes], Outcome]:
    """The modes of the gates after an instruction that is about them, and what became of it."""
    command = mode_command(instruction)
    source = Source(instruction.place, instruction.author)
    named = instruction.action.gate
    if named and named not in modes:
        return dict(modes), Outcome(False, "UnknownGate", f"gate {named} is not at this site")
    after = dict(modes)
    answers: dict[str, Answer] = {}
    for gate in [named] if named else sorted(modes):
        after[gate], answers[gate] = apply_command(modes[gate], command, instruction.role, source, now)
    if command.verb is ModeVerb.TAG_CONFIRM and after[named].tags == modes[named].tags and not isinstance(answers[named], Refused):
        return after, Outcome(False, "WrongCode", "that is not the code: the tag stays; begin anew")
    return after, _with_code(_outcome("gate ", answers), instruction, after, now)


def change_alarms(alarms: Alarms, rules: AlarmRules, instruction: Instruction, now: Now) -> tuple[Alarms, tuple[AlarmChange, ...], Outcome]:
    """The alarms after an instruction that is about them, what to journal, and what became of it."""
    if instruction.role < Role.OPERATOR:
        reason = f"{instruction.verb} takes role operator, {instruction.author} is {instruction.role.name.lower()}"
        return alarms, (), Outcome(False, "NotAllowed", reason)
    changes: tuple[AlarmChange, ...] = ()
    answers: dict[str, Answer] = {}
    for key in _keys(alarms, instruction):
        alarms, more, answers[key] = _change_alarm(alarms, rules, key, instruction, now)
        changes += more
    if not answers:
        return alarms, (), Outcome(False, "NothingToDo", "there is no alarm to acknowledge")
    return alarms, changes, _outcome("", answers)


def _keys(alarms: Alarms, instruction: Instruction) -> tuple[str, ...]:
    """Alarms that are meant; of `ack` without a name all that wait for it."""
    gate, name = instruction.action.gate, _alarm_name(instruction)
    if not name:
        waiting = (key for key, alarm in alarms.items() if alarm.phase in (Phase.UNACKNOWLEDGED, Phase.RETURNED))
        return tuple(sorted(key for key in waiting if not gate or key.partition("/")[0] == gate))
    return (name if "/" in name else f"{gate or 'site'}/{name}",)


def _alarm_name(instruction: Instruction) -> str:
    details = instruction.action.details if isinstance(instruction.action, GateAction) else None
    return details.alarm if isinstance(details, AckParams | ShelveParams | UnshelveParams) else ""


def _change_alarm(
    alarms: Alarms, rules: AlarmRules, key: str, instruction: Instruction, now: Now
) -> tuple[Alarms, tuple[AlarmChange, ...], Answer]:
    match instruction.action.details if isinstance(instruction.action, GateAction) else None:
        case ShelveParams() as wanted:
            return shelve(rules, alarms, key, wanted.for_s, instruction.author, now)
        case UnshelveParams():
            return unshelve(alarms, key, instruction.author)
        case AckParams():
            return acknowledge(alarms, key, instruction.author)
        case _:
            raise ValueError(f"{instruction.verb} is not about alarms")


def mode_command(instruction: Instruction) -> ModeCommand:
    """The instruction as a command to one gate.

    Raises:
        ValueError: it is about alarms or plans: a fault of the caller.
    """
    action = instruction.action
    if isinstance(action, SiteAction):
        code = instruction.code if action.verb == ModeVerb.TAG_CLEAR.value else action.code
        return ModeCommand(ModeVerb(action.verb.value), note=action.note, holder=action.holder, code=code)
    match action.details:
        case MoveParams() as move:
            return ModeCommand(ModeVerb.MOVE, opening_pct=move.opening_pct, valid_s=move.expires_after_s)
        case ModeParams() as wanted:
            return ModeCommand(ModeVerb.AUTO if wanted.mode == "auto" else ModeVerb.MANUAL)
        case ServiceParams() as wanted:
            return ModeCommand(ModeVerb.SERVICE_IN if wanted.service == "in" else ModeVerb.SERVICE_OUT)
        case _ if action.verb is GateVerb.STOP:
            return ModeCommand(ModeVerb.STOP)
        case _ if action.verb is GateVerb.RESET_TRIP:
            return ModeCommand(ModeVerb.RESET_TRIP)
        case _:
            raise ValueError(f"{action.verb} is no command to one gate")


def _outcome(prefix: str, answers: Mapping[str, Answer]) -> Outcome:
    refused = {name: answer for name, answer in answers.items() if isinstance(answer, Refused)}
    texts = {name: answer.reason if isinstance(answer, Refused) else answer.note for name, answer in answers.items()}
    said = tuple(f"{prefix}{name}: {text}" if prefix else text for name, text in texts.items())
    if answers and len(refused) == len(answers):
        first = next(iter(refused.values()))
        return Outcome(False, first.code, "; ".join(said))
    return Outcome(True, reasons=said)


def _with_code(outcome: Outcome, instruction: Instruction, after: Mapping[str, GateModes], now: Now) -> Outcome:
    """The first step's code goes to who asked for it, and to nobody else."""
    clearance = after[instruction.action.gate].clearance if instruction.action.gate else None
    if not outcome.accepted or instruction.verb != ModeVerb.TAG_CLEAR.value or clearance is None:
        return outcome
    data: dict[str, str | float] = {
        "code": clearance.code,
        "valid_s": clearance.valid_until_s - now.monotonic_s,
        "holder": clearance.holder,
    }
    return replace(outcome, data=data)
