"""munbon-gate.service promises what docs/operations/gate-faults.md tells: it is read as systemd reads it."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from edge_agent.gate_control.model.configuration import SiteConfiguration

SYSTEMD = Path(__file__).parents[3] / "deploy" / "systemd"
UNIT = SYSTEMD / "munbon-gate.service"


def read_unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """Section, key, values in order of their lines."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[section][key].append(value)
    return found


SERVICE = read_unit(UNIT)["Service"]


def one(key: str) -> str:
    [value] = SERVICE[key]
    return value


def mib(text: str) -> int:
    assert text.endswith("M")
    return int(text[:-1])


def test_it_needs_nothing_of_this_machine_but_itself() -> None:
    unit = read_unit(UNIT)["Unit"]
    assert not {"Requires", "Wants", "BindsTo", "After", "PartOf", "Requisite"} & set(unit)


def test_it_is_started_again_for_ever_ever_slower_up_to_a_minute() -> None:
    assert read_unit(UNIT)["Unit"]["StartLimitIntervalSec"] == ["0"]
    assert (one("Restart"), one("RestartSec"), one("RestartMaxDelaySec")) == ("always", "1", "60")
    assert int(one("RestartSteps")) > 0
    assert "RestartPreventExitStatus" not in SERVICE
    assert "SuccessExitStatus" not in SERVICE


def test_a_scan_feeds_the_watchdog_and_the_slowest_scan_is_within_it() -> None:
    [most] = [rule.le for rule in SiteConfiguration.model_fields["scan_period_s"].metadata if hasattr(rule, "le")]
    assert (one("Type"), one("NotifyAccess")) == ("notify", "main")
    assert float(one("WatchdogSec")) > float(most)


def test_it_is_the_last_to_go_when_memory_runs_out_and_the_first_to_run() -> None:
    agent = read_unit(SYSTEMD / "munbon-agent.service")["Service"]
    assert int(one("OOMScoreAdjust")) < int(agent["OOMScoreAdjust"][0]) < 0
    assert int(one("CPUWeight")) > int(agent["CPUWeight"][0]) > 100
    assert int(one("Nice")) < 0
    assert int(one("IOWeight")) > 100
    assert one("MemorySwapMax") == "0"


def test_its_memory_is_kept_for_it_also_by_the_slice_above() -> None:
    slice_ = read_unit(SYSTEMD / "system.slice.d" / "50-munbon-gate.conf")["Slice"]
    assert mib(one("MemoryMin")) <= mib(one("MemoryLow")) < mib(one("MemoryMax"))
    assert mib(slice_["MemoryMin"][0]) >= mib(one("MemoryMin")) > 36, "more than the process takes: gate_pss_mib"
    assert mib(slice_["MemoryLow"][0]) >= mib(one("MemoryLow"))


def test_hardening_leaves_it_its_serial_line_its_sockets_and_its_clock() -> None:
    assert "PrivateDevices" not in SERVICE
    assert "ProtectClock" not in SERVICE, "it would forbid asking whether the clock is right"
    assert one("DevicePolicy") == "closed"
    assert set(SERVICE["DeviceAllow"]) == {f"char-tty{kind} rw" for kind in ("S", "AMA", "USB", "ACM")}
    assert one("SupplementaryGroups") == "dialout"
    assert set(one("RestrictAddressFamilies").split()) == {"AF_UNIX", "AF_INET", "AF_INET6"}
    assert one("SystemCallFilter") == "@system-service adjtimex"
    assert (one("NoNewPrivileges"), one("ProtectSystem"), one("CapabilityBoundingSet")) == ("yes", "strict", "")
    assert "PrivateNetwork" not in SERVICE


def test_what_it_writes_outlives_it() -> None:
    assert one("RuntimeDirectoryPreserve") == "restart"
    assert one("StateDirectory") == "munbon-gate"


def test_a_half_made_update_is_judged_by_a_version_that_works_and_never_hinders_a_start() -> None:
    before, after = one("ExecStartPre"), one("ExecStartPost")
    for line in (before, after):
        assert line.startswith("-+"), "as root, and its failure hinders nothing"
        assert "/opt/munbon/gate/proven/bin/munbon-gate update --finish" in line
        assert "test ! -e /opt/munbon/gate/update.json ||" in line, "an ordinary start does not wait for Python twice"
    assert "--started" in after
    assert "--started" not in before
    assert one("ExecStart").startswith("/opt/munbon/gate/current/bin/munbon-gate run")
    assert float(one("TimeoutStartSec")) > 3 * 10.0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze; install systemd")
def test_systemd_reads_it_without_a_complaint(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/munbon/gate/current/bin/munbon-gate", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, timeout=60, check=False)
    newer = re.compile(r"Unknown key '(RestartSteps|RestartMaxDelaySec)'")  # systemd before 254
    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line and not newer.search(line)]
    assert complaints == []
