"""The process around control: paths, console, alarms. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from edge_agent.gate_control.check.device_rules import host_remarks
from edge_agent.gate_control.check.finding import Path, Remark
from edge_agent.gate_control.decide.alarm_names import AlarmName
from edge_agent.gate_control.model.configuration import SiteConfiguration

SOCKET_BYTES = 107
"""The kernel's limit for the path of a Unix socket."""
ALARM_DELAY_MOST_S = 3600.0
_PATHS = ("state_dir", "socket", "interlock_file", "trust_root", "local_plan")


def process_remarks(site: SiteConfiguration) -> Iterator[Remark]:
    """Everything about paths, roles, alarms and the site's own map."""
    yield from _paths(site)
    yield from _alarms(site)
    roles = {role.uid: role.role for role in reversed(site.console_roles)}
    for index, role in enumerate(site.console_roles):
        if roles[role.uid] != role.role:
            problem = f"uid {role.uid} is {role.role} here and {roles[role.uid]} above"
            yield Remark(("console_roles", index, "role"), problem, "which of the two holds would be a guess", "keep one of them")
    if site.modbus_map is not None:
        yield from host_remarks(site.modbus_map.host, ("modbus_map", "host"))


def _paths(site: SiteConfiguration) -> Iterator[Remark]:
    seen: dict[str, str] = {}
    for key in _PATHS:
        text = str(getattr(site, key))
        path: Path = (key,)
        if not text.strip() or "\0" in text:
            yield Remark(path, f"{key} is no path", "nothing could be kept there", "write a path, absolute or from the file's own folder")
        elif text in seen:
            yield Remark(path, f"{key} and {seen[text]} are both {text}", "one would overwrite the other", "give each its own path")
        seen.setdefault(text, key)
    if len(site.socket.encode()) > SOCKET_BYTES:
        problem = f"socket is {len(site.socket.encode())} bytes long, and no path of a socket may have more than {SOCKET_BYTES}"
        yield Remark(("socket",), problem, "nobody could ask the gate", "choose a shorter path")


def _alarms(site: SiteConfiguration) -> Iterator[Remark]:
    known = [str(name) for name in AlarmName]
    for index, rule in enumerate(site.alarms):
        path: Path = ("alarms", index)
        name = rule.name.partition(".")[0]
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            remedy = f"did you mean '{close[0]}'?" if close else "docs/reference/gate-alarms.md lists them"
            yield Remark((*path, "name"), f"there is no alarm '{rule.name}'", "the rule would hold for nothing", remedy)
        subjects = {"site", *(gate.id for gate in site.gates()), *(pool.id for pool in site.pools)}
        if rule.subject is not None and rule.subject not in subjects:
            close = difflib.get_close_matches(rule.subject, subjects, n=1)
            remedy = f"did you mean '{close[0]}'?" if close else "name a gate, a pool, or 'site'"
            yield Remark((*path, "subject"), f"there is no gate or pool '{rule.subject}'", "the rule would hold for nothing", remedy)
        for key, delay_s in (("on_delay_s", rule.on_delay_s), ("off_delay_s", rule.off_delay_s)):
            if delay_s > ALARM_DELAY_MOST_S:
                problem = f"{key} {delay_s:g} is more than {ALARM_DELAY_MOST_S:g}"
                yield Remark((*path, key), problem, "the alarm would come, or go, too late for anybody", "give it in seconds, or shorter")
