"""All rules over a whole site. Pure."""

from __future__ import annotations

from edge_agent.gate_control.check.actuator_rules import actuator_remarks
from edge_agent.gate_control.check.device_rules import device_remarks
from edge_agent.gate_control.check.finding import Finding, Lines, place
from edge_agent.gate_control.check.interlock_rules import interlock_remarks
from edge_agent.gate_control.check.loop_rules import loop_remarks
from edge_agent.gate_control.check.pool_rules import pool_remarks
from edge_agent.gate_control.check.process_rules import process_remarks
from edge_agent.gate_control.check.references import unresolved
from edge_agent.gate_control.check.register_rules import register_remarks
from edge_agent.gate_control.check.scale_rules import scale_remarks
from edge_agent.gate_control.model.configuration import SiteConfiguration


def check_site(site: SiteConfiguration, lines: Lines) -> tuple[Finding, ...]:
    """Every mistake of a site that its parts alone do not show; none: it is good. In the order of the file."""
    missing = unresolved(site)
    if missing:
        # the rules below follow these names; what they say of a gap would only confuse
        return place(missing, lines)
    rules = (
        process_remarks,
        device_remarks,
        register_remarks,
        pool_remarks,
        actuator_remarks,
        interlock_remarks,
        loop_remarks,
        scale_remarks,
    )
    return place([remark for rule in rules for remark in rule(site)], lines)
