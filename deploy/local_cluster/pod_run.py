"""One pod on the fake kubelet: its containers' states over time. Pure: the monotonic time comes in as an argument."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from deploy.local_cluster.pod_script import ContainerState, Outcome, Script, Step, Succeeds, ended_by_deletion, steps

Pod = dict[str, Any]


@dataclass
class _Play:
    """A container in the middle of its outcome."""

    outcome: Outcome
    rest: Iterator[Step]
    upcoming: Step | None
    due_s: float
    base_restarts: int = 0


class PodRun:
    """Plays the script for one pod. Init containers run one after the other, then all others together."""

    def __init__(self, pod: Pod, script: Script, now_s: float) -> None:
        self.pod = pod
        self.states: dict[str, ContainerState] = {}
        self._script = script
        self._plays: dict[str, _Play] = {}
        self._begin(now_s)

    def advance(self, now_s: float) -> bool:
        """Take all steps that are due; tells whether anything changed."""
        changed = False
        while True:
            stepped = [self._step(name, play, now_s) for name, play in list(self._plays.items())]
            changed = changed or any(stepped)
            self._begin(now_s)
            if not any(stepped):
                return changed

    def next_due_s(self) -> float | None:
        """When the next step is due; None when nothing more will happen by itself."""
        return min((play.due_s for play in self._plays.values() if play.upcoming is not None), default=None)

    def follow_script(self, pod: Pod, now_s: float) -> None:
        """Go over to what the script says now of ``pod``, for containers whose outcome or image changed."""
        before = {each["name"]: each for each in self._containers()}
        self.pod = pod
        for container in self._containers():
            name = container["name"]
            play = self._plays.get(name)
            if play is None:
                continue
            outcome = self._outcome(container)
            if outcome != play.outcome or container.get("image") != before.get(name, {}).get("image"):
                self._restart(container, outcome, now_s)

    def stop(self) -> None:
        """End all containers, as a deletion does."""
        for container in self._containers():
            state = self.states.get(container["name"]) or ContainerState("waiting")
            self.states[container["name"]] = ended_by_deletion(state)
        self._plays.clear()

    def log(self, container: str, previous: bool) -> str | None:
        """What the container wrote, or its former run; None where there is nothing."""
        state = self.states.get(container)
        if state is None or (state.phase == "waiting" and state.end is None):
            return None
        if previous:
            if state.end is None or (state.phase == "terminated" and not state.restart_count):
                return None
            return _lines(state.end.log)
        return _lines(state.log)

    def _containers(self) -> list[dict[str, Any]]:
        spec = self.pod["spec"]
        return list(spec.get("initContainers") or []) + list(spec["containers"])

    def _begin(self, now_s: float) -> None:
        """Start the containers whose turn it is."""
        for container in self.pod["spec"].get("initContainers") or ():
            name = container["name"]
            if name not in self._plays:
                outcome = self._outcome(container)
                self._start(container, outcome if outcome != self._script.default else Succeeds(), now_s)
            state = self.states.get(name)
            if state is None or state.phase != "terminated" or state.end is None or state.end.exit_code:
                return
        for container in self.pod["spec"]["containers"]:
            if container["name"] not in self._plays:
                self._start(container, self._outcome(container), now_s)

    def _outcome(self, container: dict[str, Any]) -> Outcome:
        return self._script.outcome(self.pod, container)

    def _start(self, container: dict[str, Any], outcome: Outcome, now_s: float, base_restarts: int = 0) -> None:
        falls_back = container.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        rest = steps(outcome, self.pod["spec"].get("restartPolicy", "Always"), falls_back)
        first = next(rest, None)
        self._plays[container["name"]] = _Play(outcome, rest, first, now_s + (first.delay_s if first else 0.0), base_restarts)

    def _restart(self, container: dict[str, Any], outcome: Outcome, now_s: float) -> None:
        state = self.states.get(container["name"])
        has_run = state is not None and (state.phase != "waiting" or state.end is not None)
        self._start(container, outcome, now_s, state.restart_count + 1 if has_run and state is not None else 0)

    def _step(self, name: str, play: _Play, now_s: float) -> bool:
        if play.upcoming is None or play.due_s > now_s:
            return False
        state = play.upcoming.state
        before = self.states.get(name)
        end = state.end or (before.end if before is not None else None)
        self.states[name] = replace(state, restart_count=state.restart_count + play.base_restarts, end=end)
        play.upcoming = next(play.rest, None)
        if play.upcoming is not None:
            play.due_s += play.upcoming.delay_s
        return True


def _lines(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
