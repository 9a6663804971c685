"""A server's processes as the kernel counts them: processor time and memory of the whole tree."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def tree(pid: int) -> Iterator[int]:
    """A process and all its descendants that are alive."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from tree(int(child))


def cpu_seconds(pid: int) -> float:
    """Processor time of the tree, user and system, with that of children that have ended."""
    ticks = 0
    for member in tree(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(value) for value in fields[11:15])
    return ticks / TICKS


def worker_mib(pid: int) -> float:
    """Resident memory of the largest process of the tree, which is the one that answers."""
    sizes = [0]
    for member in tree(pid):
        try:
            sizes.append(int(Path(f"/proc/{member}/statm").read_text().split()[1]))
        except OSError:
            continue
    return max(sizes) * PAGE / 2**20
