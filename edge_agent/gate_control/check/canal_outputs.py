"""What sites write: no register has two masters, and no name two owners. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge_agent.gate_control.check.actuator_rules import gates_of, writes_of
from edge_agent.gate_control.check.device_rules import unit_of
from edge_agent.gate_control.check.finding import Path, Remark
from edge_agent.gate_control.check.site_file import FileRemark, SiteFile
from edge_agent.gate_control.model.devices import ModbusTcp


def output_remarks(files: Sequence[SiteFile]) -> Iterator[FileRemark]:
    """Everything about names of sites and written registers."""
    names: dict[str, SiteFile] = {}
    for file in files:
        other = names.setdefault(file.name, file)
        if other is not file:
            problem = f"{other.at(('site',))} has the same name"
            yield file, Remark(("site",), problem, "plans, commands and neighbours could not tell the two", "give it a name of its own")
    yield from _two_masters(files)


def _two_masters(files: Sequence[SiteFile]) -> Iterator[FileRemark]:
    """Registers of units in the network; what hangs on a serial line has its one site."""
    taken: dict[tuple[str, int], tuple[SiteFile, Path, str]] = {}
    for file in files:
        units = {device.id: unit_of(device) for device in file.site.devices if isinstance(device.link, ModbusTcp)}
        for path, gate in gates_of(file.site):
            for write in writes_of(gate):
                for register in write.registers:
                    if write.device not in units:
                        continue
                    where: Path = (*path, *write.path)
                    other, other_path, other_gate = taken.setdefault((units[write.device], register), (file, where, gate.id))
                    if other is not file:
                        problem = (
                            f"register {register} of {units[write.device]} is written for gate {other_gate} of {other.at(other_path)} too"
                        )
                        why = "two masters move one gate, each against the other; neither knows of the other's limits and tagouts"
                        yield file, Remark(where, problem, why, "leave the actuator to one site, or correct its address")
