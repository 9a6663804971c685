"""The account a dataset gives of itself (``report.json``): what was read, refused, changed, flagged, and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from fairlead.records import JsonRecord

EXAMPLES = 3
"""Examples kept of each change and each reason: enough to recognise it, few enough to read."""


@dataclass(frozen=True, slots=True)
class Change(JsonRecord):
    """Values of a column that were made uniform in one way."""

    column: str
    action: str
    """What was done: ``trimmed``, ``read as missing`` …"""
    why: str
    """The contract's entry that asked for it."""
    count: int
    examples: Sequence[Sequence[str]]
    """Pairs of raw and uniform value."""


@dataclass(frozen=True, slots=True)
class Reason(JsonRecord):
    """Rows that were quarantined for one reason. A row may have several."""

    column: str
    rule: str
    """In words, after the column's name: ``must be at least 0``."""
    because: str
    """The contract's own explanation, if it gives one."""
    count: int
    examples: Sequence[Mapping[str, Any]]
    """``row`` (ordinal in the source, from 0) and ``value`` (as it was read)."""

    @property
    def text(self) -> str:
        """The reason as it stands in ``_reason``.

        >>> Reason("age", "must be at least 0", "", 1, ()).text
        'age must be at least 0'
        """
        return reason_text(self.column, self.rule, self.because)


def reason_text(column: str, rule: str, because: str = "") -> str:
    """One reason in words."""
    return " ".join(part for part in (column, rule, f"({because})" if because else "") if part)


@dataclass(frozen=True, slots=True)
class Outliers(JsonRecord):
    """Numbers far from the quartiles."""

    column: str
    low: float
    high: float
    """The fences: quartiles minus and plus ``outlier_fence`` interquartile ranges."""
    count: int
    examples: Sequence[float]
    action: str
    """``flagged`` or ``dropped``."""


@dataclass(frozen=True, slots=True)
class LeakCheck(JsonRecord):
    """One way in which the split could have leaked, and did not."""

    check: str
    looked_at: str
    """What was compared, with figures."""


@dataclass(frozen=True, slots=True)
class SplitReport(JsonRecord):
    """How the rows were divided."""

    method: str
    why: str
    rows: Mapping[str, int]
    """Rows (of a forecast: periods times series) by split."""
    spans: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """First and last time by split, where there is a time."""
    classes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Rows by split and class, for classification."""


@dataclass(frozen=True, slots=True)
class Report(JsonRecord):
    """Everything that ``report.json`` says."""

    source: str
    rows: Mapping[str, int]
    """``read``, ``quarantined``, ``duplicates``, ``incomplete``, ``outliers`` (dropped ones), ``kept``."""
    changes: Sequence[Change]
    reasons: Sequence[Reason]
    outliers: Sequence[Outliers]
    split: SplitReport
    leaks: Sequence[LeakCheck]
    dropped_columns: Sequence[str]
    """In the source, not in the contract."""
    notes: Sequence[str]
    """What a person should know and no rule forbids: constant features, a split without some class."""

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The inverse of ``to_json``."""
        raw = json.loads(text)
        kinds = {"changes": Change, "reasons": Reason, "outliers": Outliers, "leaks": LeakCheck}
        nested = {name: tuple(kind(**one) for one in raw[name]) for name, kind in kinds.items()}
        return cls(**{**raw, **nested, "split": SplitReport(**raw["split"])})


Key = tuple[str, str, str]


@dataclass(slots=True)
class Tally:
    """Counts with a few examples each, added to while batches pass by."""

    _counts: dict[Key, int] = field(default_factory=dict)
    _examples: dict[Key, list[Any]] = field(default_factory=dict)

    def add(self, key: Key, count: int, examples: Iterable[Any]) -> None:
        """Add *count* to *key*; examples beyond the first few are dropped."""
        if count:
            self._counts[key] = self._counts.get(key, 0) + count
            kept = self._examples.setdefault(key, [])
            kept.extend(list(examples)[: EXAMPLES - len(kept)])

    def wants_examples(self, key: Key) -> bool:
        """Whether examples of *key* are still missing, which saves looking for them."""
        return len(self._examples.get(key, ())) < EXAMPLES

    def items(self) -> Iterator[tuple[Key, int, list[Any]]]:
        """Key, count and examples, in the order in which the keys came up."""
        for key, count in self._counts.items():
            yield key, count, self._examples[key]
