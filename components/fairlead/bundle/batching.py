"""Whether it pays to score requests together, by what the model was measured to cost.

A call with n rows costs about a + b·n seconds. Scored alone a request costs a + b; of n scored together each costs a/n + b
and what collecting and dividing costs. So only a can be saved, and only where it is more than the collecting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fairlead.records import Answer
from fairlead.schema import Batch
from fairlead.serve.rules import Batching
from fairlead.spec.serve import Serve

SIZES = (1, 2, 4, 8, 16, 32, 64)
"""Rows of the calls that are measured."""
OVERHEAD_SECONDS = 15e-6
"""What collecting and dividing costs a request at most, CPU time in the event loop. Measured with a model that costs nothing
(``benchmarks/batching.py``): 12 to 14 µs for a request without company, 8 µs for one of four, 6 µs for one of 64."""
MARGIN = 2.0
"""The saving must be so many times the overhead: a change must be worth having."""
COMPANY = 4
"""Rows that come together under load; what larger batches save is a bonus that low loads never see."""
MOST_ROWS = 64
OBJECTIVE_SHARE = 0.25
"""A call may take so much of the latency objective: a request waits for the call before its own as well. Or"""
PATIENCE = 2.0
"""so many times as long as one row alone, where that is more: without company the next row would wait as long."""

_REPEATS = 15
_ENOUGH_SECONDS = 0.2
"""A size is not repeated beyond this time."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Seconds of a call by its rows."""

    rows: tuple[int, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """``a`` seconds a call and ``b`` seconds a row."""

    call: float
    row: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided and why."""

    batching: Batching | None
    cost: Cost
    curve: Curve
    reason: str

    @property
    def entry(self) -> dict[str, Any] | None:
        """For ``serving.json``."""
        return None if self.batching is None else asdict(self.batching)

    def record(self) -> dict[str, Any]:
        """For the bundle's attestations."""
        return {
            "curve": [
                {"rows": rows, "seconds": seconds}
                for rows, seconds in zip(self.curve.rows, self.curve.seconds, strict=True)
            ],
            "seconds_a_call": self.cost.call,
            "seconds_a_row": self.cost.row,
            "batching": self.entry,
            "reason": self.reason,
        }


def consider(
    serve: Serve, opened: Callable[[], tuple[Answer, Batch]], clock: Callable[[], float]
) -> Decision | None:
    """Measure and decide, if the project says ``batching: auto``; None if it does not.

    Args:
        serve: The project's section.
        opened: Gives the model and the rows to ask it with, as :func:`measure` takes them; called only if the project asks.
        clock: Seconds that only go up, such as ``time.perf_counter``.
    """
    if serve.batching == "off":
        return None
    answers, rows = opened()
    return decide(measure(answers, rows, clock), serve.objective.p99_ms / 1000)


def decide(curve: Curve, objective_seconds: float) -> Decision:
    """Whether to score requests together, and how many rows at most.

    The wait is always 0: while the model is idle, a request that waited for company would gain nothing, and while it is busy
    company gathers by itself (``fairlead.serve.batching``).

    Args:
        curve: What calls cost.
        objective_seconds: The p99 that is promised.

    >>> def measured(call, row):
    ...     return Curve(SIZES, tuple(call + row * rows for rows in SIZES))
    >>> decide(measured(7e-6, 1.4e-6), 0.05).batching is None  # a forest in ONNX Runtime
    True
    >>> decide(measured(4.7e-3, 15e-6), 0.05).batching  # the same forest in scikit-learn
    Batching(rows=64, wait_ms=0.0)
    >>> decide(measured(1e-3, 1e-3), 0.05).batching  # 12 rows take a quarter of the objective
    Batching(rows=8, wait_ms=0.0)
    >>> decide(measured(20e-3, 20e-3), 0.05).batching  # one takes 40 ms, two take 60 together and 80 one after the other
    Batching(rows=2, wait_ms=0.0)
    """
    cost = fit(curve)
    saved = cost.call * (1 - 1 / COMPANY)
    said = f"a call costs {_shown(cost.call)} and a row {_shown(cost.row)}"
    if saved < MARGIN * OVERHEAD_SECONDS:
        why = f"{said}: {COMPANY} rows together save {_shown(saved)} each, and collecting them costs {_shown(OVERHEAD_SECONDS)}"
        return Decision(None, cost, curve, why)
    most = max(OBJECTIVE_SHARE * objective_seconds, PATIENCE * (cost.call + cost.row))
    why = f"{said}: {COMPANY} rows together save {_shown(saved)} of {_shown(cost.call + cost.row)} each"
    return Decision(Batching(largest(cost, most), 0.0), cost, curve, why)


def fit(curve: Curve) -> Cost:
    """Least squares of relative errors, since small calls matter as much as large ones; neither part below 0.

    >>> fit(Curve((1, 2, 4), (3.0, 4.0, 6.0)))
    Cost(call=2.0, row=1.0)
    """
    rows, seconds = np.array(curve.rows, float), np.array(curve.seconds)
    weighted = np.column_stack([np.ones_like(rows), rows]) / seconds[:, None]
    (call, row), *_ = np.linalg.lstsq(weighted, np.ones_like(rows), rcond=None)
    if row < 0:
        return Cost(round(float(np.exp(np.log(seconds).mean())), 9), 0.0)
    if call < 0:
        return Cost(0.0, round(float(np.exp(np.log(seconds / rows).mean())), 9))
    return Cost(round(float(call), 9), round(float(row), 9))


def largest(cost: Cost, seconds: float) -> int:
    """The largest power of two, up to :data:`MOST_ROWS`, of rows whose call takes no longer than *seconds*; 0 if there is none.

    >>> largest(Cost(0.001, 0.001), 0.0125), largest(Cost(0.001, 0.0), 1.0), largest(Cost(1.0, 0.0), 0.1)
    (8, 64, 0)
    """
    fitting = [rows for rows in SIZES if rows <= MOST_ROWS and cost.call + cost.row * rows <= seconds]
    return max(fitting, default=0)


def measure(answers: Answer, rows: Batch, clock: Callable[[], float]) -> Curve:
    """Seconds of calls of each size: the least of some repeats, since other work can only add to it.

    Args:
        answers: The exported model, opened as it will be served.
        rows: Encoded rows to ask it with; repeated where there are fewer than the largest size.
        clock: Seconds that only go up, such as ``time.perf_counter``.
    """
    if not len(rows):
        raise ValueError("there are no rows to measure with")
    seconds = []
    for size in SIZES:
        chosen = rows.take(np.resize(np.arange(len(rows)), size))
        answers(chosen)  # a first call of a shape may set something up
        seconds.append(min(_timed(answers, chosen, clock)))
    return Curve(SIZES, tuple(round(one, 9) for one in seconds))


def _timed(answers: Answer, rows: Batch, clock: Callable[[], float]) -> Sequence[float]:
    taken: list[float] = []
    while len(taken) < 3 or (len(taken) < _REPEATS and sum(taken) < _ENOUGH_SECONDS):
        started = clock()
        answers(rows)
        taken.append(clock() - started)
    return taken


def _shown(seconds: float) -> str:
    return f"{seconds * 1e6:.3g} µs" if seconds < 1e-3 else f"{seconds * 1e3:.3g} ms"
