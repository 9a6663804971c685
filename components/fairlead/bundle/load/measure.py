"""The load test: rounds against a server, from the first to a capacity."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.bundle.load.arrivals import arrivals
from fairlead.bundle.load.capacity import NO_PRICES, Capacity, Measured, Prices, capacity_of
from fairlead.bundle.load.latencies import Quantile, latencies, quantile
from fairlead.bundle.load.memory import Slope, slope_of
from fairlead.bundle.load.search import Done, Plan, Tried, Try, Verdict, decided, next_rate
from fairlead.records import LoadRound, LoadTarget

SHARE = 0.99
"""The quantile that has an objective."""
FEWEST = 500
"""Requests of a round: of fewer than 368 none is surely above the p99."""
LATE_SHARE = 0.005
"""A round is void if the generator was late for more requests than this: half of what may move the p99."""
LATE_OBJECTIVE = 0.2
"""Late is later than this share of the objective."""
SLICE_SECONDS = 30.0
"""A soak is a row of rounds so long, so that it can be told from outside how it goes."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The objective, and how long rounds last."""

    objective_ms: float
    """Of the p99."""
    seconds: float = 20.0
    """Of a thorough round."""
    short: float = 0.1
    """Share of it that a round of the search takes; a second at least."""

    def length(self, rate: float, *, thorough: bool) -> float:
        """Seconds of a round: long enough for a p99.

        >>> Timing(50.0).length(1000.0, thorough=False), Timing(50.0).length(100.0, thorough=False)
        (2.0, 5.0)
        """
        wanted = self.seconds if thorough else max(1.0, self.short * self.seconds)
        return max(wanted, FEWEST / rate)

    @property
    def patience(self) -> float:
        """Seconds after which a request that still waits ends the round: it is lost by then."""
        return max(1.0, 20 * self.objective_ms / 1000)


@dataclass(frozen=True, slots=True)
class Judged:
    """One round and what it says."""

    rate: float
    seconds: float
    thorough: bool
    verdict: Verdict
    p50: float
    p99: Quantile
    lag: float
    """p99 of the generator's lateness."""
    failed: int
    """Requests without a valid answer."""
    cpu_seconds_per_request: float
    memory_bytes: int

    def record(self) -> dict[str, Any]:
        """For ``capacity.json``; milliseconds, None for what is infinite."""
        return {
            "rate": self.rate,
            "seconds": round(self.seconds, 3),
            "thorough": self.thorough,
            "verdict": self.verdict.value,
            "p50_ms": milliseconds(self.p50),
            "p99_ms": milliseconds(self.p99.value),
            "p99_high_ms": milliseconds(self.p99.high),
            "generator_lag_ms": milliseconds(self.lag),
            "failed": self.failed,
        }


def milliseconds(seconds: float) -> float | None:
    """To a microsecond; None for an infinite time, which JSON cannot write."""
    return round(seconds * 1000, 3) if math.isfinite(seconds) else None


Note = Callable[[Judged], None]
"""Told of every round."""


def measure(
    target: LoadTarget,
    digest: str,
    timing: Timing,
    note: Note,
    *,
    expected_rate: float | None = None,
    prices: Prices = NO_PRICES,
) -> Capacity:
    """Load-test a bundle that is being served, and work out what a deployment needs.

    Args:
        target: The server, ready, with its generator.
        digest: Of the bundle.
        timing: Objective and lengths.
        note: Told of every round.
        expected_rate: Requests a second that the deployment must answer, if that is known.
        prices: For the cost of a million predictions.

    Raises:
        ServiceError: The server or the generator died.
    """
    return capacity_of(
        find(target, timing, note),
        bundle=digest,
        objective_ms=timing.objective_ms,
        machine=target.machine,
        expected_rate=expected_rate,
        prices=prices,
    )


def find(target: LoadTarget, timing: Timing, note: Note, plan: Plan = Plan()) -> Measured:  # noqa: B008 - frozen
    """Search the highest rate at which the objective holds.

    Args:
        target: The server, ready, with its generator.
        timing: Objective and lengths.
        note: Told of every round.
        plan: Bounds of the search.

    Raises:
        ServiceError: The server or the generator died.
    """
    warm_up(target, timing, plan)
    history: list[Tried] = []
    judged: list[Judged] = []
    while isinstance(step := next_rate(history, plan), Try):
        judged.append(run_round(target, timing, step.rate, thorough=step.thorough, seed=len(history)))
        note(judged[-1])
        history.append(Tried(step.rate, judged[-1].verdict, step.thorough))
    return _measured(step, judged)


def warm_up(target: LoadTarget, timing: Timing, plan: Plan) -> None:
    """A second at the lowest rate, of which nothing is kept: first requests pay for what is set up at first use."""
    target.drive(arrivals(plan.lowest, 1.0, seed=0, shape="uniform"), timing.patience)


def check(target: LoadTarget, timing: Timing, rate: float, note: Note) -> Judged:
    """A rate that was promised, in thorough rounds until they decide (:func:`.search.decided`); the last of them."""
    warm_up(target, timing, Plan())
    said: list[Verdict] = []
    while decided(said) is None:
        judged = run_round(target, timing, rate, thorough=True, seed=len(said))
        note(judged)
        said.append(judged.verdict)
    return dataclasses.replace(judged, verdict=decided(said) or judged.verdict)


def run_round(target: LoadTarget, timing: Timing, rate: float, *, thorough: bool, seed: int) -> Judged:
    """One round at *rate*, judged."""
    seconds = timing.length(rate, thorough=thorough)
    found = target.drive(arrivals(rate, seconds, seed=seed), timing.patience)
    return judge_round(found, rate, seconds, timing.objective_ms / 1000, thorough=thorough)


def judge_round(found: LoadRound, rate: float, seconds: float, objective: float, *, thorough: bool) -> Judged:
    """What a round says about its rate; *objective* in seconds.

    Held means that the upper end of the p99's interval is within the objective. A request without a valid answer counts as one
    that took forever.
    """
    lag = lateness(found)
    waited = latencies(found.due, found.done)
    p99 = quantile(waited, SHARE)
    if np.mean(lag > LATE_OBJECTIVE * objective) > LATE_SHARE:
        verdict = Verdict.VOID
    else:
        verdict = Verdict.HELD if p99.high <= objective else Verdict.MISSED
    answered = int(np.isfinite(waited).sum())
    return Judged(
        rate=rate,
        seconds=seconds,
        thorough=thorough,
        verdict=verdict,
        p50=quantile(waited, 0.5).value,
        p99=p99,
        lag=quantile(np.sort(lag), SHARE).value,
        failed=len(waited) - answered,
        cpu_seconds_per_request=found.cpu_seconds / max(1, answered),
        memory_bytes=found.memory_bytes,
    )


def lateness(found: LoadRound) -> NDArray[np.float64]:
    """Seconds by which the generator was late for each request; 0 for those after a round was given up."""
    return np.nan_to_num(np.maximum(found.noticed - found.due, 0.0), nan=0.0)


def soak(target: LoadTarget, timing: Timing, rate: float, minutes: float, note: Note) -> Slope:
    """Keep *rate* up for *minutes* and watch the server's memory."""
    at: list[NDArray[np.float64]] = []
    samples: list[NDArray[np.float64]] = []
    elapsed, slices = 0.0, max(1, round(minutes * 60 / SLICE_SECONDS))
    length = minutes * 60 / slices
    for number in range(slices):
        found = target.drive(arrivals(rate, length, seed=number), timing.patience)
        note(judge_round(found, rate, length, timing.objective_ms / 1000, thorough=True))
        at.append(found.memory_at + elapsed)
        samples.append(found.memory_samples)
        elapsed += length
    return slope_of(np.concatenate(at), np.concatenate(samples))


def _measured(end: Done, judged: list[Judged]) -> Measured:
    confirmed = next(
        (
            one
            for one in reversed(judged)
            if one.thorough and one.verdict is Verdict.HELD and one.rate == end.rate
        ),
        None,
    )
    empty = Measured(
        outcome=end.outcome,
        highest_rate=None,
        p99_ms=None,
        p99_low_ms=None,
        p99_high_ms=None,
        cpu_seconds_per_request=None,
        memory_bytes=max((one.memory_bytes for one in judged), default=0),
        rounds=tuple(one.record() for one in judged),
    )
    if confirmed is None:
        return empty
    return dataclasses.replace(
        empty,
        highest_rate=confirmed.rate,
        p99_ms=milliseconds(confirmed.p99.value),
        p99_low_ms=milliseconds(confirmed.p99.low),
        p99_high_ms=milliseconds(confirmed.p99.high),
        cpu_seconds_per_request=confirmed.cpu_seconds_per_request,
    )
