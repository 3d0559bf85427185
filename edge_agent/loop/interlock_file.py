"""Reads what the gate process says about updates."""

from __future__ import annotations

from pathlib import Path

from edge_agent.decide.hold import NO_GATE, judge_interlock
from edge_agent.model import HoldState, Moment
from shared.contracts.codec import decode
from shared.contracts.interlock import Interlock
from shared.errors import ContractError


def read_hold(path: Path | None, now: Moment) -> HoldState:
    """Whether updates are held; a node without a gate never holds. Never raises: what cannot be read holds."""
    if path is None:
        return NO_GATE
    try:
        return judge_interlock(decode(path.read_bytes(), Interlock, subject=path.name), now)
    except FileNotFoundError:
        return judge_interlock(None, now)
    except OSError as error:
        return judge_interlock(None, now, problem=f"the interlock file cannot be read: {error.strerror}")
    except ContractError as error:
        return judge_interlock(None, now, problem=f"the interlock file is not valid: {error}")
