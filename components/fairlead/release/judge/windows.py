"""What was observed since the last look: increments, never totals. Whatever was read fits in; :func:`fault` says what is wrong.

Amounts are numbers for one release, or arrays with one figure a simulated release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fairlead.release.judge.arrays import Amount, Floats

_MOST = 1e15
"""No counter of requests gets there; sums of larger ones would lose units."""


@dataclass(frozen=True, slots=True)
class Window:
    """Units of both arms and how many of them were bad, over the same time."""

    n_c: Amount
    """Units of the candidate that were really routed to it, never a nominal share."""
    x_c: Amount
    """Bad ones among them."""
    n_s: Amount
    """Units of stable."""
    x_s: Amount
    """Bad ones among them."""
    seconds: float = 60.0
    """Length of the look."""
    weight: float | None = None
    """Share that was asked for the candidate; a block of the latency guard never spans two."""

    def floats(self) -> tuple[Floats, Floats, Floats, Floats]:
        """The four counts as arrays of one shape."""
        n_c, x_c, n_s, x_s = _together(self.n_c, self.x_c, self.n_s, self.x_s)
        return n_c, x_c, n_s, x_s

    def fault(self) -> str:
        """What is wrong with it, in words; empty if nothing."""
        try:
            counts = self.floats()
        except (TypeError, ValueError):
            return "a value is not a number"
        n_c, x_c, n_s, x_s = counts
        return (
            _not_counts(np.stack(counts), self.seconds)
            or _more_than(x_c, n_c, "the candidate's bad answers")
            or _more_than(x_s, n_s, "stable's bad answers")
        )

    def plus(self, other: Window) -> Window:
        """Both together."""
        n_c, x_c, n_s, x_s = (
            mine + theirs for mine, theirs in zip(self.floats(), other.floats(), strict=True)
        )
        return Window(n_c, x_c, n_s, x_s, self.seconds + other.seconds, self.weight)


@dataclass(frozen=True, slots=True)
class Bins:
    """Predictions by bin: class labels, or score bins with edges fixed from stable's history."""

    c: Amount
    """(…, bins) of the candidate."""
    s: Amount
    """(…, bins) of stable."""

    def fault(self) -> str:
        """As :meth:`Window.fault`."""
        if wrong := _not_counts(self.c, self.s):
            return wrong
        same = np.shape(self.c) == np.shape(self.s) and np.ndim(self.c) > 0
        return "" if same else "the two arms have different bins"

    def plus(self, other: Bins) -> Bins:
        """Both together."""
        return Bins(_floats(self.c) + _floats(other.c), _floats(self.s) + _floats(other.s))


@dataclass(frozen=True, slots=True)
class Pairs:
    """Requests that both versions answered."""

    n: Amount
    """Pairs."""
    flips: Amount
    """Pairs whose answers differ: another class, or scores further apart than the tolerance."""
    dropped: Amount = 0.0
    """Sampled requests that the candidate did not answer in time: unknown, never "no flip"."""

    def fault(self) -> str:
        """As :meth:`Window.fault`."""
        return _not_counts(self.n, self.flips, self.dropped) or _more_than(self.flips, self.n, "flips")


@dataclass(frozen=True, slots=True)
class PairedLosses:
    """Labelled pairs: the candidate's loss minus stable's, and how often each difference occurred."""

    difference: Amount
    """(…, values) in the unit of the loss; for right and wrong 1, -1 and 0."""
    count: Amount
    """(…, values)."""

    @classmethod
    def of_counts(cls, worse: float, better: float, same: float) -> PairedLosses:
        """Losses 0 and 1: pairs where only the candidate is wrong, only stable, and the rest."""
        return cls([1.0, -1.0, 0.0], [worse, better, same])

    def fault(self) -> str:
        """As :meth:`Window.fault`."""
        values = np.shape(self.difference)[-1:]
        if not values or values != np.shape(self.count)[-1:]:
            return "differences and their counts do not fit each other"
        return _not_finite(self.difference) or _not_counts(self.count)


@dataclass(frozen=True, slots=True)
class Cohort:
    """Labels that arrived in this look, of predictions that were made in one look."""

    number: int
    """Of the look in which the predictions were made."""
    c: tuple[float, ...] = ()
    """Losses of the candidate's predictions, 0 to 1, in any order."""
    s: tuple[float, ...] = ()
    """Losses of stable's predictions."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """One cohort at the age of maturity: how many of its predictions have no label."""

    number: int
    n_c: float
    missing_c: float
    n_s: float
    missing_s: float


@dataclass(frozen=True, slots=True)
class LabelWindow:
    """Labels of one look. :func:`fairlead.release.judge.arrivals.arrived` makes it from a list of labels."""

    young: tuple[Cohort, ...] = ()
    """Labels that came in this look, of cohorts below maturity."""
    mature: tuple[Cohort, ...] = ()
    """Labels of cohorts past maturity that came in this look, or had come before their cohort was mature and count now."""
    coverage: tuple[Coverage, ...] = ()
    """Cohorts that became mature in this look."""
    labels: float = 0.0
    """Labels that arrived, each request counted once."""
    corrections: float = 0.0
    """Labels for requests that had one already; ignored, and counted."""

    def fault(self) -> str:
        """As :meth:`Window.fault`."""
        losses = [y for cohort in (*self.young, *self.mature) for y in (*cohort.c, *cohort.s)]
        if wrong := _not_finite(losses):
            return wrong
        if losses and not 0 <= min(losses) <= max(losses) <= 1:
            return "a loss is outside 0 to 1"
        for one in self.coverage:
            if wrong := Window(one.n_c, one.missing_c, one.n_s, one.missing_s).fault():
                return f"label coverage: {wrong}"
        return _not_counts(self.labels, self.corrections)


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the traffic the candidate got."""

    n_c: Amount
    n: Amount
    """Requests of both arms."""
    asked: Amount
    """The weight that was set, 0 to 1."""

    def fault(self) -> str:
        """As :meth:`Window.fault`."""
        return _not_counts(self.n_c, self.n, self.asked) or _more_than(
            self.n_c, self.n, "the candidate's requests"
        )


@dataclass(frozen=True, slots=True)
class Look:
    """Everything observed between two evaluations, at one weight. What was not observed is None, which is not zero."""

    at: float
    """When it ended, in seconds since 1970."""
    seconds: float
    """How long it was."""
    weight: float | None = None
    """Share of the traffic that was asked for the candidate, 0 to 1. A look never spans a change of it."""
    errors: Window | None = None
    """Requests and failed ones. Its units also say whether there was traffic at all."""
    latency: Window | None = None
    """Successful requests and slow ones."""
    predictions: Bins | None = None
    pairs: Pairs | None = None
    quality: LabelWindow | PairedLosses | None = None
    """Labels, as the quality guard wants them."""
    value: LabelWindow | PairedLosses | None = None
    """The same in money."""
    slices: Mapping[str, Window] = field(default_factory=dict)
    """Requests and failed ones by slice; each unit is in one slice."""
    problem: str = ""
    """Why nothing could be read, in words. Such a look has no evidence, whatever else it holds."""

    def fault(self) -> str:
        """What is wrong with it, in words; empty if nothing."""
        if self.problem:
            return self.problem
        if wrong := _not_counts(self.at, self.seconds, 0.0 if self.weight is None else self.weight):
            return f"the look itself: {wrong}"
        parts = {"errors": self.errors, "latency": self.latency, "predictions": self.predictions, "pairs": self.pairs,
                 "quality": self.quality, "value": self.value,
                 **{f"slice {name}": window for name, window in self.slices.items()}}  # fmt: skip
        faults = ((name, part.fault()) for name, part in parts.items() if part is not None)
        return next((f"{name}: {wrong}" for name, wrong in faults if wrong), "")


def _floats(value: Any) -> Floats:
    return np.asarray(value, dtype=np.float64)


def _together(*values: Any) -> Floats:
    """Values of one shape, or that can be brought to one, as one array with a row each."""
    if len({np.shape(value) for value in values}) > 1:
        values = np.broadcast_arrays(*values)
    return np.array(values, dtype=np.float64)


def _not_finite(*values: Any) -> str:
    try:
        finite = all(bool(np.isfinite(_floats(value)).all()) for value in values)
    except (TypeError, ValueError):
        return "a value is not a number"
    return "" if finite else "a value is not finite"


def _not_counts(*values: Any) -> str:
    if wrong := _not_finite(*values):
        return wrong
    arrays = [_floats(value) for value in values]
    if any(bool((array < 0).any()) for array in arrays):
        return "an increment is negative"
    return (
        "an increment is too large for a counter"
        if any(bool((array > _MOST).any()) for array in arrays)
        else ""
    )


def _more_than(part: Any, whole: Any, what: str) -> str:
    return f"{what} are more than there were units" if bool((_floats(part) > _floats(whole)).any()) else ""
