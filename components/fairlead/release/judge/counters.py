"""From cumulative counters of pods to increments of an arm.

A restart is told by the pod's UID and the process's start, never by a smaller value: a process that started since the last
reading brings its whole first value. What an old process had counted but not told is *unknown*, never zero; and so is what was
counted while a pod could not be read. A value that fell within one process is no counter, and makes the look unreadable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ProcessId = tuple[str, float]
"""Pod UID and the process's start, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Reading:
    """All processes of one arm at one time."""

    at: float
    """Seconds since 1970."""
    values: Mapping[ProcessId, Sequence[float]]
    """Cumulative values: answers and failed ones, or the histogram's buckets."""


@dataclass(frozen=True, slots=True)
class Increments:
    """What an arm did between two readings."""

    values: tuple[float, ...] = ()
    """Sums over its processes; empty if there was none."""
    unknown: int = 0
    """Processes whose last or first part could not be read."""
    problem: str = ""
    """Why the look is unreadable, in words."""


def increments(before: Reading, after: Reading) -> Increments:
    """Sums over processes of what was counted between two readings.

    >>> pod = Reading(0.0, {("pod-1", -9.0): (100, 180, 196, 200)})
    >>> increments(pod, Reading(60.0, {("pod-1", -9.0): (400, 700, 776, 800)})).values
    (300.0, 520.0, 580.0, 600.0)
    >>> increments(pod, Reading(60.0, {("pod-1", 30.0): (30, 55, 59, 60)}))
    Increments(values=(30.0, 55.0, 59.0, 60.0), unknown=1, problem='')
    """
    widths = {len(values) for values in (*before.values.values(), *after.values.values())}
    if len(widths) > 1:
        return Increments(problem="the pods' counters are of different kinds")
    unknown = sum(process not in after.values for process in before.values)
    sums = [0.0] * (widths.pop() if widths else 0)
    for (pod, started), values in sorted(after.values.items()):
        known = before.values.get((pod, started))
        if known is None and not started >= before.at:
            unknown += 1
            continue
        grown = [_grown(old, new) for old, new in zip(known or [0.0] * len(values), values, strict=True)]
        if problem := next((f"pod {pod}: {said}" for said in map(_wrong, grown) if said), ""):
            return Increments(problem=problem)
        sums = [total + part for total, part in zip(sums, grown, strict=True)]
    return Increments(tuple(sums), unknown)


def _grown(old: float, new: float) -> float:
    try:
        return float(new) - float(old)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _wrong(grown: float) -> str:
    if not math.isfinite(grown):
        return "a counter is not a number"
    return "a counter fell without a restart" if grown < 0 else ""
