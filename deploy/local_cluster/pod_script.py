"""What the fake kubelet plays: outcomes per container, and the script that chooses them. Pure.

Takes: a pod and a script. Gives: the outcome of each container, and the states that it goes through, with delays.
May import: the standard library's data types. Never does: I/O, or read a clock.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

Pod = dict[str, Any]
_AT_ONCE_S = 0.05
OUTCOME_ANNOTATION = "fake-kubelet.munbon.io/outcome"
"""On a pod: JSON such as ``{"outcome": "CrashLoopBackOff", "exit_code": 3, "last_log": "no config"}``."""


@dataclass(frozen=True)
class Ready:
    """Runs and is ready after ``after_s``. A container of a pod that must end (Job) succeeds instead."""

    after_s: float = 0.0


@dataclass(frozen=True)
class Slow:
    """Stays in ContainerCreating for ``delay_s`` (a long image pull), then is ready."""

    delay_s: float


@dataclass(frozen=True)
class Unready:
    """Runs, but its readiness probe never passes."""


@dataclass(frozen=True)
class CrashLoopBackOff:
    """Starts, runs ``run_s``, ends with ``exit_code``; again at once, then after ``restart_delay_s``, twice as long each time.

    ``last_log`` is the last line of its log; ``message`` what it wrote as termination message, if anything.
    """

    exit_code: int = 1
    last_log: str = ""
    message: str = ""
    run_s: float = 0.0
    restart_delay_s: float = 10.0
    longest_delay_s: float = 300.0
    reason: str = "Error"


@dataclass(frozen=True)
class OOMKilled:
    """Killed for its memory, again and again."""

    run_s: float = 0.0
    restart_delay_s: float = 10.0
    last_log: str = ""


@dataclass(frozen=True)
class ImagePullBackOff:
    """The image can't be had; ``message`` is what the runtime says."""

    message: str = ""
    after_s: float = 0.0
    error: str = "ErrImagePull"
    """The reason shown first: ``ErrImagePull``, ``InvalidImageName``, ``ErrImageNeverPull``."""


@dataclass(frozen=True)
class Succeeds:
    """Ends well after ``after_s``."""

    after_s: float = 0.0
    last_log: str = ""


@dataclass(frozen=True)
class Fails:
    """Ends with ``exit_code`` after ``after_s``; restarted only if the pod's restart policy says so."""

    exit_code: int = 1
    last_log: str = ""
    message: str = ""
    after_s: float = 0.0
    restart_delay_s: float = 10.0


Outcome = Ready | Slow | Unready | CrashLoopBackOff | OOMKilled | ImagePullBackOff | Succeeds | Fails
_BY_NAME: dict[str, Callable[..., Outcome]] = {
    kind.__name__: kind for kind in (Ready, Slow, Unready, CrashLoopBackOff, OOMKilled, ImagePullBackOff, Succeeds, Fails)
}


@dataclass(frozen=True)
class End:
    """How a container ended."""

    exit_code: int
    reason: str
    message: str = ""
    log: str = ""


@dataclass(frozen=True)
class ContainerState:
    """What the kubelet reports of one container."""

    phase: str
    """``waiting``, ``running`` or ``terminated``."""
    reason: str = ""
    message: str = ""
    ready: bool = False
    restart_count: int = 0
    end: End | None = None
    """How it ended, when terminated; how it ended last, else."""
    log: str = ""
    pulled: bool = True


@dataclass(frozen=True)
class Step:
    """``state`` is reached ``delay_s`` after the state before it."""

    delay_s: float
    state: ContainerState


def steps(outcome: Outcome, restart_policy: str, falls_back_to_log: bool) -> Iterator[Step]:
    """The states that a container goes through; endless for one that keeps crashing.

    ``falls_back_to_log`` is the container's ``terminationMessagePolicy: FallbackToLogsOnError``.
    """
    if isinstance(outcome, Ready | Slow):
        delay_s = outcome.delay_s if isinstance(outcome, Slow) else outcome.after_s
        if restart_policy != "Always":
            yield from steps(Succeeds(delay_s), restart_policy, falls_back_to_log)
            return
        if delay_s:
            yield Step(0.0, ContainerState("waiting", "ContainerCreating", pulled=False))
        yield Step(delay_s, ContainerState("running", ready=True))
    elif isinstance(outcome, Unready):
        yield Step(0.0, ContainerState("running"))
    elif isinstance(outcome, ImagePullBackOff):
        yield from _pull_fails(outcome)
    elif isinstance(outcome, Succeeds):
        yield from _ends_well(outcome)
    else:
        yield from _crashes(_as_crash(outcome), restart_policy, falls_back_to_log)


def _pull_fails(outcome: ImagePullBackOff) -> Iterator[Step]:
    yield Step(0.0, ContainerState("waiting", "ContainerCreating", pulled=False))
    yield Step(outcome.after_s, ContainerState("waiting", outcome.error, outcome.message, pulled=False))
    if outcome.error == "ErrImagePull":
        yield Step(0.2, ContainerState("waiting", "ImagePullBackOff", f"Back-off pulling image: {outcome.message}", pulled=False))


def _ends_well(outcome: Succeeds) -> Iterator[Step]:
    if outcome.after_s:
        yield Step(0.0, ContainerState("running", ready=True))
    end = End(0, "Completed", log=outcome.last_log)
    yield Step(outcome.after_s, ContainerState("terminated", "Completed", end=end, log=outcome.last_log))


def _as_crash(outcome: CrashLoopBackOff | OOMKilled | Fails) -> CrashLoopBackOff:
    if isinstance(outcome, OOMKilled):
        return CrashLoopBackOff(137, outcome.last_log, "", outcome.run_s, outcome.restart_delay_s, reason="OOMKilled")
    if isinstance(outcome, Fails):
        return CrashLoopBackOff(outcome.exit_code, outcome.last_log, outcome.message, outcome.after_s, outcome.restart_delay_s)
    return outcome


def _crashes(outcome: CrashLoopBackOff, restart_policy: str, falls_back_to_log: bool) -> Iterator[Step]:
    message = outcome.message or (outcome.last_log if falls_back_to_log else "")
    end = End(outcome.exit_code, outcome.reason, message, outcome.last_log)
    delay_s, restarts = 0.0, 0
    last: End | None = None
    while True:
        if outcome.run_s:
            yield Step(delay_s, ContainerState("running", ready=True, restart_count=restarts, end=last, log=outcome.last_log))
            delay_s = outcome.run_s
        yield Step(delay_s, ContainerState("terminated", outcome.reason, message, restart_count=restarts, end=end, log=outcome.last_log))
        if restart_policy == "Never":
            return
        delay_s, last = _AT_ONCE_S, end
        if restarts:  # the first restart is at once, later ones wait longer and longer
            delay_s = min(outcome.restart_delay_s * 2 ** min(restarts - 1, 20), outcome.longest_delay_s)
            waiting = f"back-off {delay_s:g}s restarting failed container"
            state = ContainerState("waiting", "CrashLoopBackOff", waiting, restart_count=restarts, end=end, log=outcome.last_log)
            yield Step(_AT_ONCE_S, state)
        restarts += 1


class Script:
    """Chooses the outcome of each container; may be changed while the kubelet runs.

    In this order: the pod's annotation :data:`OUTCOME_ANNOTATION`, ``by_label`` (``key=value``; both for the first container of
    a pod), ``by_image`` (a pattern such as ``*/web:1.1.0``), ``default``.
    """

    def __init__(
        self, default: Outcome | None = None, by_image: dict[str, Outcome] | None = None, by_label: dict[str, Outcome] | None = None
    ) -> None:
        self.default: Outcome = default or Ready()
        self.by_image = dict(by_image or {})
        self.by_label = dict(by_label or {})
        self._listeners: list[Callable[[], None]] = []

    def change(
        self, *, default: Outcome | None = None, by_image: dict[str, Outcome] | None = None, by_label: dict[str, Outcome] | None = None
    ) -> None:
        """Add to the script, or replace the default; running pods go over to what it says now."""
        self.default = default or self.default
        self.by_image.update(by_image or {})
        self.by_label.update(by_label or {})
        for listener in self._listeners:
            listener()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after each change."""
        self._listeners.append(listener)

    def outcome(self, pod: Pod, container: dict[str, Any]) -> Outcome:
        """The outcome of one container.

        Raises:
            ValueError: the pod's annotation can't be read.
        """
        metadata = pod["metadata"]
        if container["name"] == pod["spec"]["containers"][0]["name"]:
            annotated = (metadata.get("annotations") or {}).get(OUTCOME_ANNOTATION)
            if annotated:
                return read_outcome(annotated)
            labels = metadata.get("labels") or {}
            for selector, outcome in self.by_label.items():
                key, _, value = selector.partition("=")
                if labels.get(key) == value:
                    return outcome
        image = container.get("image", "")
        for pattern, outcome in self.by_image.items():
            if image == pattern or fnmatch.fnmatchcase(image, pattern):
                return outcome
        return self.default


def read_outcome(text: str) -> Outcome:
    """An outcome from JSON: its name as ``outcome``, its fields beside.

    Raises:
        ValueError: no such outcome or field.
    """
    try:
        fields = json.loads(text)
        return _BY_NAME[fields.pop("outcome")](**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        known = ", ".join(_BY_NAME)
        raise ValueError(
            f"annotation {OUTCOME_ANNOTATION}={text!r} is no outcome ({error}): use JSON with `outcome` one of {known}"
        ) from error


def ended_by_deletion(state: ContainerState) -> ContainerState:
    """The state of a container after its pod was told to stop."""
    if state.phase == "terminated":
        return state
    return replace(state, phase="terminated", reason="Error", message="", ready=False, end=End(137, "Error", log=state.log))
