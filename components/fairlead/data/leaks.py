"""Leak checks: they read what was written, and know nothing of how it was divided.

A leak raises. What was checked and held goes into the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fairlead.data.associate import LEAST_ROWS, PERFECT, Correlation, Equality, Pairs
from fairlead.data.hashing import Hashes, row_hashes, value_hashes
from fairlead.data.ingest import ROW, unwatched
from fairlead.data.partitions import HashPartitions
from fairlead.data.report import LeakCheck
from fairlead.data.roles import Roles
from fairlead.data.split import SPLITS
from fairlead.data.survey import read_rows
from fairlead.errors import LeakError
from fairlead.spec import Contract

_SIDE = np.dtype([("one", "<u8"), ("two", "<u8"), ("side", "<i8")])
_QUARTER_HOUR = 15 * 60 * 1_000_000
_FARTHEST_ZONE = 14 * 4 * _QUARTER_HOUR
_KEEP_OUT = "Set its `use` in the contract to `identifier` or `ignore`, or `known: later` if it is."


def check_leaks(
    folder: Path,
    contract: Contract,
    roles: Roles,
    scratch: Path,
    advance: Callable[[int], object] = unwatched,
) -> tuple[list[LeakCheck], int]:
    """Read the three splits in *folder* and look for what must not be there.

    Returns:
        The checks that were made, and the bytes of hash partitions that were on disk.

    Raises:
        LeakError: The same row or group on two sides, training rows later than test rows, a feature that gives the target away
            or that is later than the row's own time.
    """
    with ExitStack() as open_files:
        checks = _checks(contract, roles, scratch, open_files)
        for side, name in enumerate(SPLITS):
            for batch in read_rows(folder / f"{name}.parquet"):
                for check in checks:
                    check.look(batch, side)
                advance(batch.num_rows)
        return [check.verdict() for check in checks], sum(check.spilled for check in checks)


def _checks(contract: Contract, roles: Roles, scratch: Path, open_files: ExitStack) -> list[Check]:
    checks: list[Check] = [SameOnTwoSides.of_rows(open_files.enter_context(_spill(scratch / "rows")), roles)]
    if roles.split == "group" and roles.group is not None:
        checks.append(
            SameOnTwoSides.of_group(open_files.enter_context(_spill(scratch / "groups")), roles.group)
        )
    if roles.split == "time" and roles.time is not None:
        checks.append(NoFuture(roles.time))
    if roles.target is not None:
        checks.append(GivesTargetAway(contract, roles))
    if roles.time is not None:
        later = [name for name in roles.features if contract.columns[name].type == "datetime"]
        checks.extend(NotLater(name, roles.time) for name in later)
    return checks


def _spill(folder: Path) -> HashPartitions:
    return HashPartitions(folder, _SIDE)


class Check:
    """One way to leak. It looks at every batch of every split, then gives its verdict."""

    spilled = 0
    """Bytes of hash partitions on disk."""

    def look(self, batch: pa.RecordBatch, side: int) -> None:
        """Take note of the rows of a batch; *side* is the position in ``SPLITS``."""
        raise NotImplementedError

    def verdict(self) -> LeakCheck:
        """What was checked. Raises LeakError if it did not hold."""
        raise NotImplementedError


@dataclass
class SameOnTwoSides(Check):
    """The same row, or the same group, in two splits."""

    spill: HashPartitions
    what: str
    hint: str
    hashes: Callable[[pa.RecordBatch], tuple[Hashes, Hashes]]
    rows: int = 0

    @classmethod
    def of_rows(cls, spill: HashPartitions, roles: Roles) -> SameOnTwoSides:
        """Compare whole rows, as they were written."""
        hint = "Set data.clean.duplicates to drop, or give the rows an identifier if they are different examples."
        return cls(spill, "row", hint, lambda batch: row_hashes(batch.column(name) for name in roles.kept))

    @classmethod
    def of_group(cls, spill: HashPartitions, group: str) -> SameOnTwoSides:
        """Compare groups."""
        hint = "This is a fault of the split, not of the data; please report it."
        return cls(spill, f"group ({group})", hint,
                   lambda batch: (value_hashes(batch.column(group), 0), value_hashes(batch.column(group), 1)))  # fmt: skip

    def look(self, batch: pa.RecordBatch, side: int) -> None:
        """Spill the hashes."""
        records = np.empty(batch.num_rows, dtype=_SIDE)
        records["one"], records["two"] = self.hashes(batch)
        records["side"] = side
        self.spill.add(records["one"], records)
        self.rows += batch.num_rows

    def verdict(self) -> LeakCheck:
        """Compare partition by partition."""
        shared = sum(shared_hashes(records) for records in self.spill)
        if shared:
            raise LeakError(f"the same {self.what} is in two splits: {shared:,} times", hint=self.hint)
        return LeakCheck(f"no {self.what} in two splits", f"{self.rows:,} rows by 128-bit hashes")

    @property
    def spilled(self) -> int:  # type: ignore[override]
        """Bytes on disk."""
        return self.spill.bytes


def shared_hashes(records: NDArray[np.void]) -> int:
    """How many different hashes occur with more than one side.

    >>> shared_hashes(np.array([(1, 1, 0), (1, 1, 0), (1, 1, 2), (1, 2, 1)], dtype=_SIDE))
    1
    """
    ordered = records[np.lexsort((records["side"], records["two"], records["one"]))]
    same = (ordered["one"][1:] == ordered["one"][:-1]) & (ordered["two"][1:] == ordered["two"][:-1])
    crossing = same & (ordered["side"][1:] != ordered["side"][:-1])
    return len(np.unique(ordered[["one", "two"]][1:][crossing]))


@dataclass
class NoFuture(Check):
    """Splits by time follow each other and share no moment."""

    time: str
    spans: dict[int, tuple[int, int]] = field(default_factory=dict)

    def look(self, batch: pa.RecordBatch, side: int) -> None:
        """Widen the split's span."""
        ends = pc.min_max(batch.column(self.time).cast(pa.int64()))
        first, last = ends["min"].as_py(), ends["max"].as_py()
        known = self.spans.get(side, (first, last))
        self.spans[side] = (min(first, known[0]), max(last, known[1]))

    def verdict(self) -> LeakCheck:
        """Compare each split with the next."""
        sides = sorted(self.spans)
        for earlier, later in pairwise(sides):
            if self.spans[earlier][1] >= self.spans[later][0]:
                last, first = _moment(self.spans[earlier][1]), _moment(self.spans[later][0])
                raise LeakError(
                    f"{SPLITS[earlier]} has rows up to {last}, but {SPLITS[later]} begins at {first}",
                    hint="This is a fault of the split, not of the data; please report it.",
                )
        return LeakCheck(
            "no split reaches into the next one's time", f"first and last {self.time} of each split"
        )


def _moment(microseconds: int) -> str:
    return str(np.datetime64(microseconds, "us").astype("datetime64[s]"))


class GivesTargetAway(Check):
    """A feature from which the target can be read off: equal, mapped one to one, present when it is, or in line with it."""

    def __init__(self, contract: Contract, roles: Roles) -> None:
        self.roles, self.rows = roles, 0
        self.target = str(roles.target)
        discrete = ("category", "boolean", "integer")
        numeric = ("number", "integer", "boolean")
        kinds = {name: contract.columns[name].type for name in roles.features}
        self.presence = {name: Pairs() for name in roles.features}
        self.values = {name: Pairs() for name, kind in kinds.items() if kind in discrete}
        self.lines = {name: Correlation() for name, kind in kinds.items() if kind in numeric}
        labels = roles.task == "classification"
        self.equal = {
            name: Equality() for name, kind in kinds.items() if kind in ("category", "text") and labels
        }

    def look(self, batch: pa.RecordBatch, side: int) -> None:  # noqa: ARG002
        """Gather sums and pairs; all splits count."""
        self.rows += batch.num_rows
        target = batch.column(self.target)
        numbers = self._target_numbers(target)
        for name in self.roles.features:
            values = batch.column(name)
            self.presence[name].add(pc.is_valid(values), target)
            if name in self.values:
                self.values[name].add(values, target)
            if name in self.lines and numbers is not None:
                self.lines[name].add(_floats(values), numbers)
            if name in self.equal:
                self.equal[name].add(values, target)

    def _target_numbers(self, target: pa.Array) -> NDArray[np.float64] | None:
        """The target on a line: as it is for regression; labels only where they are numbers or words for yes and no."""
        if self.roles.task == "regression":
            return _floats(target)
        truth = pc.is_in(pc.utf8_lower(target), value_set=pa.array(["1", "true", "yes", "y"]))
        return _floats(truth)

    def verdict(self) -> LeakCheck:
        """Name the first feature that gives the target away."""
        if self.rows >= LEAST_ROWS:
            for name, how in self._giveaways():
                raise LeakError(
                    f"the feature {name!r} gives the target {self.target!r} away: {how}", hint=_KEEP_OUT
                )
        return LeakCheck(
            f"no feature gives {self.target} away",
            f"{len(self.roles.features)} features in {self.rows:,} rows: equality, one-to-one mapping, presence, correlation",
        )

    def _giveaways(self) -> Iterator[tuple[str, str]]:
        for name, equality in self.equal.items():
            if equality.same and equality.rows >= LEAST_ROWS:
                yield name, f"they are equal in all {equality.rows:,} rows that have both"
        for name, pairs in self.values.items():
            if pairs.one_to_one:
                yield name, f"each of its {len(pairs.seen)} values goes with exactly one value of the target"
        for name, pairs in self.presence.items():
            if pairs.one_to_one:
                yield name, "it has a value exactly when the target has one certain value"
        for name, line in self.lines.items():
            if line.rows >= LEAST_ROWS and abs(line.value) > PERFECT:
                yield name, f"their correlation is {line.value:.6f}"


def _floats(values: pa.Array) -> NDArray[np.float64]:
    return np.asarray(values.cast(pa.float64()).fill_null(np.nan))


def is_later(ahead: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which leads (microseconds) are more than another time zone.

    >>> hour = 3_600_000_000
    >>> is_later(np.array([-hour, 0, hour, hour + 1, 20 * hour])).tolist()
    [False, False, False, True, True]
    """
    zone = (ahead <= _FARTHEST_ZONE) & (ahead % _QUARTER_HOUR == 0)
    later: NDArray[np.bool_] = (ahead > 0) & ~zone
    return later


@dataclass
class NotLater(Check):
    """A time among the features that lies after the time of the row itself.

    A wall clock of another zone is no leak: it is ahead by a whole number of quarters of an hour, up to 14 hours.
    """

    feature: str
    time: str
    rows: int = 0
    later: int = 0
    example: str = ""

    def look(self, batch: pa.RecordBatch, side: int) -> None:  # noqa: ARG002
        """Count rows in which it is later."""
        self.rows += batch.num_rows
        ahead = pc.subtract(
            batch.column(self.feature).cast(pa.int64()), batch.column(self.time).cast(pa.int64())
        )
        after = pa.array(is_later(np.asarray(ahead.fill_null(0))))
        found = pc.sum(after).as_py() or 0
        if found and not self.later:
            row = pc.indices_nonzero(after)[0].as_py()
            self.example = f"row {batch.column(ROW)[row]}: {batch.column(self.feature)[row]} after {batch.column(self.time)[row]}"
        self.later += found

    def verdict(self) -> LeakCheck:
        """Refuse any."""
        if self.later:
            raise LeakError(
                f"the feature {self.feature!r} is later than {self.time!r} in {self.later:,} of {self.rows:,} rows "
                f"({self.example})",
                hint=f"{_KEEP_OUT} If these rows are wrong, the row rule `{self.feature} <= {self.time}` quarantines them.",
            )
        return LeakCheck(f"{self.feature} is never later than {self.time}", f"{self.rows:,} rows")
