"""What a log holds: records, gaps, rates, and how many predictions have a label."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fairlead.monitor.deletion import row_keys
from fairlead.monitor.retention import ended_at
from fairlead.monitor.segments import Gap, Seen, Worker
from fairlead.monitor.shipping import read_table
from fairlead.monitor.target import Target


@dataclass(slots=True)
class Traffic:
    """The predictions of one bundle in one slot by one route."""

    requests: int = 0
    rows: int = 0
    labelled: int = 0
    """Rows that have a label."""
    first: float = np.inf
    last: float = -np.inf

    @property
    def rate(self) -> float:
        """Requests a second between the first and the last."""
        return self.requests / (self.last - self.first) if self.last > self.first else float("nan")


@dataclass(slots=True)
class Summary:
    """All of it."""

    traffic: dict[tuple[str, str, str], Traffic] = field(default_factory=dict)
    """By slot, bundle and route."""
    rows: Counter[str] = field(default_factory=Counter)
    """By table."""
    files: int = 0
    labelled_rows: int = 0
    """Different rows that labels are about, logged or not."""
    gaps: list[Gap] = field(default_factory=list)
    open_ends: list[Worker] = field(default_factory=list)
    """Workers that still run, or whose last records nobody will know about."""


def summarize(target: Target, since: float) -> Summary:
    """Look at every hour that ended after *since* (Unix time)."""
    summary, seen = Summary(), Seen()
    names = [name for name in target.names() if (ended_at(name) or 0.0) > since and name.endswith(".parquet")]
    labelled = pc.unique(pa.chunked_array(
        [chunk for name in names if name.startswith("feedback/") for chunk in _feedback_keys(target, name).chunks], pa.string()
    ))  # fmt: skip
    summary.labelled_rows = len(labelled)
    for name in names:
        table = name.partition("/")[0]
        rows = _look(target, name, table)
        summary.files += 1
        summary.rows[table] += len(rows)
        _see(seen, rows)
        if table == "predictions":
            _count(summary, rows, labelled)
    summary.gaps, summary.open_ends = seen.gaps(), seen.unfinished()
    return summary


_COLUMNS = {
    "predictions": ["id", "row", "pod", "epoch", "seq", "at", "slot", "bundle", "route"],
    "feedback": ["pod", "epoch", "seq"],
    "pairs": ["pod", "epoch", "seq"],
    "workers": ["pod", "epoch", "seq", "event"],
}


def _look(target: Target, name: str, table: str) -> pa.Table:
    return read_table(target, name, _COLUMNS[table])


def _feedback_keys(target: Target, name: str) -> pa.ChunkedArray:
    return row_keys(read_table(target, name, ["id", "row"]))


def _see(seen: Seen, rows: pa.Table) -> None:
    if "event" in rows.column_names:
        for row in rows.to_pylist():
            seen.event(row["pod"], row["epoch"], row["event"], row["seq"])
        return
    for (pod, epoch), part in _split(rows, ["pod", "epoch"]):
        numbers = np.unique(part["seq"].to_numpy())
        breaks = np.flatnonzero(np.diff(numbers) > 1)
        for first, last in zip(
            numbers[np.r_[0, breaks + 1]], numbers[np.r_[breaks, len(numbers) - 1]], strict=True
        ):
            seen.add(pod, epoch, int(first), int(last))


def _count(summary: Summary, rows: pa.Table, labelled: pa.Array) -> None:
    for (slot, bundle, route), part in _split(rows, ["slot", "bundle", "route"]):
        traffic = summary.traffic.setdefault((slot, bundle, route), Traffic())
        seconds = pc.cast(part["at"], pa.int64()).to_numpy() / 1e6
        traffic.rows += len(part)
        traffic.requests += len(part.group_by(["pod", "epoch", "seq"]).aggregate([]))
        traffic.labelled += int(pc.sum(pc.is_in(row_keys(part), labelled)).as_py() or 0)
        traffic.first, traffic.last = min(traffic.first, seconds.min()), max(traffic.last, seconds.max())


def _split(rows: pa.Table, columns: list[str]) -> list[tuple[tuple[str, ...], pa.Table]]:
    """The rows by different values of *columns*, in order of these."""
    texts = [pc.cast(rows[column], pa.string()) for column in columns]
    keys = pa.table(texts, names=columns).group_by(columns).aggregate([]).to_pylist()
    found = []
    for key in sorted(tuple(key[column] for column in columns) for key in keys):
        chosen = pc.equal(texts[0], key[0])
        for text, value in zip(texts[1:], key[1:], strict=True):
            chosen = pc.and_(chosen, pc.equal(text, value))
        found.append((key, rows.filter(chosen)))
    return found
