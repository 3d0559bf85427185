"""A journal decided again: the same code commands the same, another setting shows where it differs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.gate_control.decide.instructions import Instruction
from edge_agent.gate_control.decide.modes import Place, Role
from edge_agent.gate_control.replay.redecide import redecide
from shared.contracts.gate_command import GateAction, GateVerb
from tests.fakes.gate_story import Story, one_gate_site

STOP = Instruction("i1", GateAction(gate="g1", verb=GateVerb.STOP), "ana", Role.OPERATOR, Place.CONSOLE)


@settings(max_examples=15, deadline=None)
@given(st.integers(min_value=0, max_value=10_000))
def test_the_same_code_commands_the_same_from_the_journal(seed: int) -> None:
    story = Story(seed)
    for second in range(150):
        story.scan(second, [STOP] if second == 120 else ())

    again = list(redecide(story.site, story.block()))

    assert len(again) == 150
    assert all(one.is_same for one in again)
    assert again[-1].scanned.decision.state.modes == story.memory.state.modes


def moving_story() -> Story:
    story = Story(7)
    for second in range(300):
        story.scan(second)
    assert len(story.commands) >= 3
    return story


def test_another_gain_shows_where_it_would_have_moved_otherwise() -> None:
    story = moving_story()

    different = [one for one in redecide(one_gate_site(kp_m2_per_s=9.0), story.block()) if not one.is_same]

    assert different
    assert any(line.startswith("g1 move") for one in different for line in one.today)


def test_every_scan_says_again_why_the_gate_moved_or_did_not() -> None:
    story = moving_story()

    reasons = [one.scanned.decision.reasons["g1"] for one in redecide(story.site, story.block())]

    assert all(reasons)
    assert any("deadband" in " ".join(each) for each in reasons)


def test_a_state_that_this_version_does_not_know_is_refused_and_not_guessed() -> None:
    story = moving_story()
    block = story.block()
    base: dict[str, Any] = {**block.base, "memory": {"state": {"gates": 5}}}

    with pytest.raises(ValueError, match="gates"):
        list(redecide(story.site, replace(block, base=base)))
