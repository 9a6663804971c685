"""Breaks a running cluster in a known way: components killed, stopped, continued; or adds one to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from .access import require_up
from .failures import Failure
from .lifecycle import write_addons
from .places import Cache, State
from .readiness import Wait, wait_for_addon

CONTAINERS = "containers"  # in place of a component: the processes of all pods


def send(signal_: signal.Signals, component: str, state: State) -> None:
    """Send a signal to one component, or to every process in every container.

    The node starts a killed component again after a second, and the kubelet a killed container. Containers
    outlive both the kubelet and containerd, as on any node.
    """
    for pid in _container_pids(state) if component == CONTAINERS else [_component_pid(component, state)]:
        try:
            os.kill(pid, signal_)
        except ProcessLookupError:
            if component != CONTAINERS:
                raise Failure(f"{component} is not running at this moment") from None


def start(addons: Sequence[str], cache: Cache, state: State, *, seconds: float) -> None:
    """Add *addons* to a running cluster and wait until they are usable."""
    require_up(state)
    write_addons([*state.addon_names(), *addons], state)
    wait = Wait.of(cache, state, seconds)
    for name in addons:
        wait_for_addon(name, wait)


def component_names(state: State) -> list[str]:
    """The components that were ever started."""
    return sorted(path.name for path in state.pids.iterdir())


def children(pid: int) -> list[int]:
    """The children of a process, of all its threads; none when it is gone."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, file.read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def number_inside(status: str) -> int:
    """A process's number in the innermost of its namespaces, by the text of /proc/PID/status.

    >>> number_inside("Name:\\tkubelet\\nNSpid:\\t48211\\t93\\n")
    93
    """
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields["NSpid"].split()[-1])


def _component_pid(component: str, state: State) -> int:
    """The component's number outside the node, where only its number inside is on file."""
    node = require_up(state)
    note = state.pids / component
    if not note.is_file():
        names = ", ".join([*component_names(state), CONTAINERS])
        raise Failure(f"there is no component {component}; there are: {names}")
    wanted = int(note.read_text())
    for pid in children(node):
        status = Path(f"/proc/{pid}/status")
        if status.exists() and number_inside(status.read_text()) == wanted:
            return pid
    raise Failure(f"{component} is not running at this moment")


def _container_pids(state: State) -> list[int]:
    """Every process below a container's shim. Shims belong to process 1 of the node."""
    node = require_up(state)
    shims = [pid for pid in children(node) if _program(pid) == "containerd-shim-runc-v2"]
    found, todo = [], [child for shim in shims for child in children(shim)]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children(pid)
    return [
        pid for pid in found if _program(pid) != "pause"
    ]  # a pod keeps its address, its containers start anew


def _program(pid: int) -> str:
    try:
        return Path(Path(f"/proc/{pid}/cmdline").read_text().split("\0", 1)[0]).name
    except (FileNotFoundError, ProcessLookupError):
        return ""
