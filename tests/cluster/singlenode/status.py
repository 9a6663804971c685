"""What a running cluster is doing: its node, its memory, its logs."""

from __future__ import annotations

import os
from pathlib import Path

from .access import kubectl, require_up
from .failures import Failure
from .faults import children
from .places import Cache, State


def print_status(cache: Cache, state: State) -> None:
    """Print the node, and the memory of everything in the cluster."""
    node = require_up(state)
    kubectl(cache, state, "get", "nodes", "-o", "wide", show=True)
    total, todo = 0.0, [node]
    while todo:
        pid = todo.pop()
        todo += children(pid)
        try:
            size = proportional_memory(Path(f"/proc/{pid}/smaps_rollup").read_text())
            name = _name(Path(f"/proc/{pid}/cmdline").read_text().split("\0"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        total += size
        print(f"{size:8.0f} MiB  {name}")
    print(f"{total:8.0f} MiB  together")


def proportional_memory(smaps: str) -> float:
    """MiB of a process, pages that it shares with others counted in part, by the text of /proc/PID/smaps_rollup.

    >>> proportional_memory("00400000-7fff rollup\\nRss:  4096 kB\\nPss:  2048 kB\\nPss_Anon:  1024 kB\\n")
    2.0
    """
    return sum(int(line.split()[1]) for line in smaps.splitlines() if line.startswith("Pss:")) / 1024


def _name(words: list[str]) -> str:
    """What to call a process: a Python program by its module or file."""
    if not Path(words[0]).name.startswith("python") or len(words) < 3:
        return Path(words[0]).name
    return words[2] if words[1] == "-m" else Path(words[1]).name


def show_log(component: str, state: State, *, follow: bool) -> None:
    """Become `tail` of a component's log; without a component print the names there are."""
    names = sorted(path.stem for path in state.logs.glob("*.log"))
    if not component:
        print(*names, sep="\n")
        return
    if component not in names:
        raise Failure(f"there is no log of {component}; there are: {', '.join(names)}")
    options = ["-F"] if follow else ["-n", "+1"]
    os.execvp("tail", ["tail", *options, str(state.logs / f"{component}.log")])
