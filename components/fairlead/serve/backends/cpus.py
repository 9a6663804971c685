"""How many CPUs a process may use: what it is pinned to, and what its control groups let it have.

``os.cpu_count`` counts those of the machine. A pod with a limit of two CPUs on a machine of sixty-four would start
sixty-four threads, use up its share of each period at once and be stopped until the next: requests then wait for tens of
milliseconds. Both versions of control groups are read, every level of them, because the smallest limit holds.

Sources: https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max),
https://docs.kernel.org/scheduler/sched-bwc.html (cpu.cfs_quota_us).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

V1_NAMES = ("cpu", "cpu,cpuacct", "cpuacct,cpu")
"""Folders under which version 1 has the controller, by distribution."""


def usable_cpus(root: Path = Path("/")) -> float:
    """CPUs this process may use at a time, which need not be whole; never less than a hundredth.

    Args:
        root: Where ``proc`` and ``sys`` are.
    """
    pinned = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return least(pinned, quotas(root))


def least(pinned: int, limits: Iterable[float | None]) -> float:
    """The smallest of what is allowed.

    >>> least(8, [None, 2.5, 4.0]), least(2, [None])
    (2.5, 2.0)
    """
    return max(0.01, min([float(pinned), *(limit for limit in limits if limit is not None)]))


def quotas(root: Path) -> Iterator[float | None]:
    """The limit of every control group above this process; None where one sets none. Files that are not there are skipped."""
    groups = groups_of(_text(root / "proc/self/cgroup"))
    mounted = root / "sys/fs/cgroup"
    for folder in _levels(mounted, groups.get("", "/")):
        yield quota_v2(_text(folder / "cpu.max"))
    for name in V1_NAMES:
        for folder in _levels(mounted / name, groups.get("cpu", "/")):
            yield quota_v1(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))


def groups_of(text: str) -> dict[str, str]:
    r"""Controller to group, from ``/proc/self/cgroup``; version 2 has one group, under the empty name.

    >>> groups_of("0::/kubepods.slice/pod7\n")
    {'': '/kubepods.slice/pod7'}
    >>> groups_of("11:memory:/a\n4:cpu,cpuacct:/kubepods/pod7\n0::/\n")["cpu"]
    '/kubepods/pod7'
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            found |= dict.fromkeys(parts[1].split(","), parts[2])
    return found


def _levels(mounted: Path, group: str) -> Iterator[Path]:
    """The folders of a group and of all above it. In a container only some of them, or only the mount, can be seen."""
    parts = [part for part in PurePosixPath(group).parts if part not in ("/", "..")]
    for count in range(len(parts) + 1):
        yield mounted.joinpath(*parts[:count])


def quota_v2(text: str) -> float | None:
    r"""CPUs from ``cpu.max``: quota and period in microseconds.

    >>> quota_v2("150000 100000\n"), quota_v2("max 100000\n"), quota_v2("")
    (1.5, None, None)
    """
    words = text.split()
    return _ratio(words[0], words[1]) if len(words) == 2 else None


def quota_v1(quota: str, period: str) -> float | None:
    r"""CPUs from ``cpu.cfs_quota_us`` and ``cpu.cfs_period_us``; a quota of -1 is none.

    >>> quota_v1("50000\n", "100000\n"), quota_v1("-1\n", "100000\n"), quota_v1("", "")
    (0.5, None, None)
    """
    return _ratio(quota.strip(), period.strip())


def _ratio(quota: str, period: str) -> float | None:
    if not (quota.isdecimal() and period.isdecimal()) or int(quota) <= 0 or int(period) <= 0:
        return None
    return int(quota) / int(period)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def whole_threads(cpus: float) -> int:
    """Threads that fit: a thread more than there are CPUs only waits.

    >>> whole_threads(0.5), whole_threads(2.0), whole_threads(3.9)
    (1, 2, 3)
    """
    return max(1, math.floor(cpus))
