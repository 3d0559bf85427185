"""Every contract by name: what is exported as JSON Schema and has a recorded example per version."""

from __future__ import annotations

from shared.contracts import api
from shared.contracts.base import Contract
from shared.contracts.command import Command, CommandReply
from shared.contracts.desired import Desired
from shared.contracts.envelope import Envelope, TrustRoot
from shared.contracts.event import Event
from shared.contracts.gate_command import CommandView, GateCommand
from shared.contracts.gate_plan import GatePlan
from shared.contracts.gate_socket import GateReply, GateRequest, JournalRecord
from shared.contracts.interlock import Interlock
from shared.contracts.release import Release
from shared.contracts.status import Heartbeat, NodeStatus

WIRE: dict[str, type[Contract]] = {
    "command": Command,
    "command-reply": CommandReply,
    "desired": Desired,
    "envelope": Envelope,
    "event": Event,
    "gate-command": GateCommand,
    "gate-command-answer": CommandView,
    "gate-plan": GatePlan,
    "gate-reply": GateReply,
    "gate-request": GateRequest,
    "heartbeat": Heartbeat,
    "interlock": Interlock,
    "journal-record": JournalRecord,
    "node-status": NodeStatus,
    "release": Release,
    "trust-root": TrustRoot,
}
"""What crosses a wire or a process border on or to a node."""

API: dict[str, type[Contract]] = {
    "api-app-change": api.AppChange,
    "api-app-rollback": api.AppRollback,
    "api-assignment": api.AssignmentView,
    "api-event": api.EventView,
    "api-fleet-status": api.FleetStatus,
    "api-gate": api.GateView,
    "api-gate-alarm": api.GateAlarmView,
    "api-gate-command": api.GateCommandSend,
    "api-gate-plan": api.GatePlanView,
    "api-node": api.NodeView,
    "api-node-add": api.NodeAdd,
    "api-node-enrolment": api.NodeEnrolment,
    "api-node-labels": api.NodeLabels,
    "api-problem": api.ProblemView,
    "api-release": api.ReleaseView,
    "api-release-publish": api.ReleasePublish,
    "api-rollout": api.RolloutView,
    "api-rollout-start": api.RolloutStart,
}
"""The operator's API."""

CATALOGUE: dict[str, type[Contract]] = {**WIRE, **API}
