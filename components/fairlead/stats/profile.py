"""Mergeable summaries of columns: what a data set looked like, small enough to travel inside a bundle.

A summary of two parts merged is the summary of the whole, so that partitions can be read apart and in any order. Counts,
extremes and sketches merge exactly; mean and variance up to rounding (Chan, Golub, LeVeque: *Updating Formulae and a
Pairwise Algorithm for Computing Sample Variances*, 1979); top values up to a bound that is kept beside them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fairlead.stats.sketch import Sketch

TOP_VALUES = 512
"""Values counted by name in one column. 512 holds every category a contract can reasonably list."""
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_DAY_WIDTHS = (1, 7, 28, 364)
_MOST_BINS = 400


@dataclass(frozen=True, slots=True)
class Numbers:
    """Moments, extremes and quantiles of numbers."""

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0
    """Sum of squared deviations from the mean."""
    minimum: float | None = None
    maximum: float | None = None
    sketch: Sketch = field(default_factory=Sketch)

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Self:
        """The summary of the finite ones of *values*."""
        finite = values[np.isfinite(values)]
        if not finite.size:
            return cls()
        with np.errstate(over="ignore"):
            mean = _bounded(finite.mean())
            m2 = _bounded(np.square(finite - mean).sum())
        return cls(
            count=int(finite.size),
            mean=mean,
            m2=m2,
            minimum=float(finite.min()),
            maximum=float(finite.max()),
            sketch=Sketch.of(finite),
        )

    @property
    def std(self) -> float:
        """Standard deviation of the population, 0 if there are no values."""
        return math.sqrt(self.m2 / self.count) if self.count else 0.0

    def quantile(self, q: float) -> float | None:
        """The *q*-quantile within 1 %, never outside the extremes; None if there are no values."""
        if self.minimum is None or self.maximum is None:
            return None
        return min(max(self.sketch.quantile(q), self.minimum), self.maximum)

    def merge(self, other: Numbers) -> Numbers:
        """The summary of both."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        delta = other.mean - self.mean
        return Numbers(
            count=count,
            mean=self.mean + delta * other.count / count,
            m2=_bounded(self.m2 + other.m2 + delta * delta * self.count * other.count / count),
            minimum=_least(self.minimum, other.minimum),
            maximum=_greatest(self.maximum, other.maximum),
            sketch=self.sketch.merge(other.sketch),
        )

    def to_dict(self) -> dict[str, Any]:
        """A form for JSON. ``std`` and ``quantiles`` are derived, and there for people."""
        return {
            "count": self.count, "mean": self.mean, "m2": self.m2, "std": self.std,
            "minimum": self.minimum, "maximum": self.maximum, "sketch": self.sketch.to_dict(),
            "quantiles": {f"{q:g}": self.quantile(q) for q in QUANTILES},
        }  # fmt: skip

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        plain = {name: raw[name] for name in ("count", "mean", "m2", "minimum", "maximum")}
        return cls(**plain, sketch=Sketch.from_dict(raw["sketch"]))


@dataclass(frozen=True, slots=True)
class TopValues:
    """How often the most frequent values occur, in bounded memory.

    Misra-Gries counters, which merge (Agarwal and others: *Mergeable Summaries*, PODS 2012). As long as there are at most
    :data:`TOP_VALUES` different values every count is exact. Beyond that a true count lies between ``counts[v]`` and
    ``counts[v] + undercount``, and a value that is not listed occurs at most ``undercount`` times.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    undercount: int = 0

    @classmethod
    def of(
        cls, values: Sequence[str] | NDArray[np.object_], counts: Sequence[int] | NDArray[np.int64]
    ) -> Self:
        """From different *values* and how often each occurs."""
        kept, cut = _heaviest(dict(zip(map(str, values), map(int, counts), strict=True)))
        return cls(kept, cut)

    @property
    def exact(self) -> bool:
        """Whether every value is listed with its true count."""
        return self.undercount == 0

    def top(self, most: int) -> list[tuple[str, int]]:
        """The most frequent values, ties in alphabetical order."""
        return sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))[:most]

    def merge(self, other: TopValues) -> TopValues:
        """The counts of both."""
        total = dict(self.counts)
        for value, count in other.counts.items():
            total[value] = total.get(value, 0) + count
        kept, cut = _heaviest(total)
        return TopValues(kept, self.undercount + other.undercount + cut)


def _heaviest(counts: dict[str, int]) -> tuple[dict[str, int], int]:
    """At most TOP_VALUES counters, and what was taken off each: the count of the first that does not fit."""
    if len(counts) <= TOP_VALUES:
        return counts, 0
    cut = int(np.partition(np.fromiter(counts.values(), np.int64), -(TOP_VALUES + 1))[-(TOP_VALUES + 1)])
    return {value: count - cut for value, count in counts.items() if count > cut}, cut


@dataclass(frozen=True, slots=True)
class Times:
    """When things happened: extremes, and counts in bins of whole days.

    The width is 1, 7, 28 or 364 days: the smallest that gives at most 400 bins between the extremes. Each width is a multiple of
    the one before and bins start at 1970-01-01, so merging loses nothing that the wider bins would have kept.
    """

    count: int = 0
    first: str | None = None
    """ISO 8601, to the microsecond."""
    last: str | None = None
    width_days: int = 1
    bins: Mapping[int, int] = field(default_factory=dict)
    """Number of the bin (days since 1970-01-01 divided by the width, rounded down) to count."""

    @classmethod
    def of(cls, values: NDArray[np.datetime64]) -> Self:
        """The summary of *values*; NaT is passed over."""
        known = values[~np.isnat(values)].astype("datetime64[us]")
        if not known.size:
            return cls()
        days, counts = np.unique(known.astype("datetime64[D]").astype(np.int64), return_counts=True)
        bins = dict(zip(days.tolist(), counts.tolist(), strict=True))
        width, bins = _coarse_enough(1, bins)
        return cls(int(known.size), str(known.min()), str(known.max()), width, bins)

    def merge(self, other: Times) -> Times:
        """The summary of both."""
        if not self.count or not other.count:
            return self if self.count else other
        width = max(self.width_days, other.width_days)
        bins = _rebinned(self.bins, width // self.width_days)
        for number, count in _rebinned(other.bins, width // other.width_days).items():
            bins[number] = bins.get(number, 0) + count
        width, bins = _coarse_enough(width, bins)
        first, last = min(str(self.first), str(other.first)), max(str(self.last), str(other.last))
        return Times(self.count + other.count, first, last, width, bins)


def _rebinned(bins: Mapping[int, int], factor: int) -> dict[int, int]:
    wider: dict[int, int] = {}
    for number, count in bins.items():
        wider[number // factor] = wider.get(number // factor, 0) + count
    return wider


def _coarse_enough(width: int, bins: dict[int, int]) -> tuple[int, dict[int, int]]:
    for wider in _DAY_WIDTHS:
        if wider > width and max(bins) - min(bins) >= _MOST_BINS:
            width, bins = wider, _rebinned(bins, wider // width)
    return width, bins


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column. Which parts there are follows from its kind.

    ``numbers``: number and integer; and text, whose ``numbers`` are lengths in characters. ``values``: category, and
    boolean as ``true`` and ``false``. ``times``: datetime.
    """

    kind: str
    count: int
    """Rows, missing ones included."""
    missing: int
    numbers: Numbers | None = None
    values: TopValues | None = None
    times: Times | None = None

    @classmethod
    def of(cls, kind: str, values: Sequence[Any] | NDArray[Any]) -> Self:
        """The summary of a column of plain values, in which None, NaN and NaT are missing.

        Args:
            kind: number, integer, boolean, category, text or datetime.
            values: Shape (rows,). Large categories are better counted first, see :meth:`of_counts`.
        """
        if kind in ("number", "integer"):
            return cls._of_numbers(kind, np.asarray(values, dtype=np.float64))
        if kind == "datetime":
            times = np.asarray(values, dtype="datetime64[us]")
            return cls(kind, len(times), int(np.isnat(times).sum()), times=Times.of(times))
        known = [value for value in values if not _is_missing(value)]
        missing = len(values) - len(known)
        if kind == "text":
            lengths = np.array([len(str(value)) for value in known], dtype=np.float64)
            return cls(kind, len(values), missing, numbers=Numbers.of(lengths))
        names = [_name(value) for value in known]
        different, counts = np.unique(np.array(names, dtype=object), return_counts=True)
        return cls(kind, len(values), missing, values=TopValues.of(different, counts))

    @classmethod
    def _of_numbers(cls, kind: str, values: NDArray[np.float64]) -> Self:
        return cls(kind, len(values), int(np.isnan(values).sum()), numbers=Numbers.of(values))

    @classmethod
    def of_lengths(cls, lengths: NDArray[np.float64]) -> Self:
        """A text column, from the lengths of its texts; NaN is a missing text."""
        return cls._of_numbers("text", lengths)

    @classmethod
    def of_counts(cls, kind: str, values: Sequence[str], counts: Sequence[int], missing: int) -> Self:
        """A category or boolean column, from its different values and how often each occurs."""
        return cls(kind, int(sum(counts)) + missing, missing, values=TopValues.of(values, counts))

    @property
    def constant(self) -> bool:
        """Whether all rows have the same value, or none has any."""
        known = self.count - self.missing
        if known == 0:
            return True
        if self.missing:
            return False
        if self.values is not None:
            return len(self.values.counts) == 1 and self.values.exact
        if self.times is not None:
            return self.times.first == self.times.last
        return (
            self.kind != "text" and self.numbers is not None and self.numbers.minimum == self.numbers.maximum
        )

    def merge(self, other: ColumnProfile) -> ColumnProfile:
        """The summary of both parts of the column.

        Raises:
            ValueError: The parts are of different kinds.
        """
        if self.kind != other.kind:
            raise ValueError(f"cannot merge a profile of kind {self.kind} with one of kind {other.kind}")
        return ColumnProfile(
            kind=self.kind,
            count=self.count + other.count,
            missing=self.missing + other.missing,
            numbers=self.numbers.merge(other.numbers) if self.numbers and other.numbers else None,
            values=self.values.merge(other.values) if self.values and other.values else None,
            times=self.times.merge(other.times) if self.times and other.times else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """A form for JSON."""
        return {
            "kind": self.kind, "count": self.count, "missing": self.missing,
            "numbers": self.numbers.to_dict() if self.numbers else None,
            "values": {"counts": _ordered(self.values.counts), "undercount": self.values.undercount}
                      if self.values else None,
            "times": {"count": self.times.count, "first": self.times.first, "last": self.times.last,
                      "width_days": self.times.width_days, "bins": _ordered(self.times.bins)} if self.times else None,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        values, times = raw["values"], raw["times"]
        return cls(
            kind=raw["kind"],
            count=raw["count"],
            missing=raw["missing"],
            numbers=Numbers.from_dict(raw["numbers"]) if raw["numbers"] else None,
            values=TopValues(dict(values["counts"]), values["undercount"]) if values else None,
            times=Times(**{**times, "bins": dict(times["bins"])}) if times else None,
        )


@dataclass(frozen=True, slots=True)
class Profile:
    """All columns of a set of rows, by name."""

    rows: int
    columns: Mapping[str, ColumnProfile]

    @classmethod
    def of(cls, columns: Mapping[str, tuple[str, Sequence[Any] | NDArray[Any]]]) -> Self:
        """From columns of equal length: name to (kind, values), as :meth:`ColumnProfile.of` takes them."""
        profiles = {name: ColumnProfile.of(kind, values) for name, (kind, values) in columns.items()}
        return cls(next((profile.count for profile in profiles.values()), 0), profiles)

    def merge(self, other: Profile) -> Profile:
        """The profile of both sets of rows, which must have the same columns."""
        columns = {name: profile.merge(other.columns[name]) for name, profile in self.columns.items()}
        return Profile(self.rows + other.rows, columns)

    def to_json(self) -> str:
        """Canonical JSON; columns keep their order."""
        raw = {
            "rows": self.rows,
            "columns": {name: profile.to_dict() for name, profile in self.columns.items()},
        }
        return json.dumps(raw, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The inverse of :meth:`to_json`."""
        raw = json.loads(text)
        columns = {name: ColumnProfile.from_dict(column) for name, column in raw["columns"].items()}
        return cls(raw["rows"], columns)


def _ordered(counts: Mapping[Any, int]) -> list[list[Any]]:
    return [[key, counts[key]] for key in sorted(counts)]


def _name(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):  # NA refuses to be compared
        return True
    return bool(value != value)  # noqa: PLR0124 - NaN


def _bounded(value: float | np.float64) -> float:
    """*value* within the range of finite floats: squares of values beyond 1e154 overflow, and JSON has no infinity."""
    return float(np.clip(value, -np.finfo(np.float64).max, np.finfo(np.float64).max))


def _least(one: float | None, other: float | None) -> float | None:
    return min(value for value in (one, other) if value is not None)


def _greatest(one: float | None, other: float | None) -> float | None:
    return max(value for value in (one, other) if value is not None)
