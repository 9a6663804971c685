"""What is measured of a server, and how it is shown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.serving.load import Load
from benchmarks.serving.process import cpu_seconds, worker_mib
from benchmarks.serving.servers import Running

from fairlead.cli.show import say


@dataclass
class Figures:
    """What was measured of one server with one kind of request, an entry a round."""

    rate: list[float] = field(default_factory=list)
    """Requests a second, server and load tool each on one core."""
    cpu_us: list[float] = field(default_factory=list)
    """Processor time a request, of all the server's processes."""
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    wrong: int = 0
    worker_mib: list[float] = field(default_factory=list)
    ready_seconds: list[float] = field(default_factory=list)

    @property
    def a_core(self) -> float:
        """Requests in a second of processor time."""
        return 1e6 / statistics.median(self.cpu_us)


Table = dict[str, Figures]


def measure(run: Running, seconds: float, drive: Callable[[float], Load], into: Figures) -> None:
    """One load, after a second of warm-up."""
    drive(min(1.0, seconds))
    before = cpu_seconds(run.process.pid)
    seen = drive(seconds)
    used = cpu_seconds(run.process.pid) - before
    into.rate.append(seen.rate)
    into.cpu_us.append(used / max(seen.requests, 1) * 1e6)
    into.p50_ms.append(seen.p50_ms)
    into.p99_ms.append(seen.p99_ms)
    into.wrong += seen.wrong
    into.worker_mib.append(worker_mib(run.process.pid))
    into.ready_seconds.append(run.seconds_to_ready)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """The median, and half of the distance between the extremes as a share of it.

    >>> spread([90.0, 100.0, 110.0])
    '100 ±10 %'
    """
    middle = statistics.median(values)
    half = (max(values) - min(values)) / 2 / (middle or 1.0)
    return f"{middle:,.{digits}f} ±{half:.0%}".replace("%", " %")


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table that can be read as text and put on a page."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, ["-" * width for width in widths], *rows):
        say("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
