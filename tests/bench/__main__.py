"""`python -m tests.bench [NAME ...]`: measures, writes build/bench.json and docs/benchmarks.md; 1 if a bench failed."""

import datetime
import sys
from pathlib import Path

from tests.bench import harness, machine, report

ROOT = Path(__file__).resolve().parents[2]
JSON_FILE = ROOT / "build" / "bench.json"
PAGE = ROOT / "docs" / "benchmarks.md"


def main(only: list[str]) -> int:
    """Runs the benches named, or all; returns the exit code."""
    benches, broken = harness.discover(Path(__file__).parent, "tests.bench")
    try:
        chosen = harness.choose(benches, only)
    except harness.UnknownBench as error:
        print(f"bench: {error}", file=sys.stderr)
        for name, reason in broken.items():
            print(f"bench: {name} {reason}", file=sys.stderr)
        return 2
    outcome = harness.run_all(chosen)
    failed = broken | outcome.failed
    here = machine.describe()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    records = report.merge(report.read_earlier(JSON_FILE, here), outcome.results, measured_at=today)
    report.write_json(JSON_FILE, here, records, failed | outcome.not_here)
    PAGE.write_text(report.markdown(here, records, failed | outcome.not_here), encoding="utf-8")
    for name, reason in failed.items():
        print(f"bench: {name} FAILED: {reason}", file=sys.stderr)
    print(f"bench: {len(outcome.results)} figures in {JSON_FILE.relative_to(ROOT)} and {PAGE.relative_to(ROOT)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
