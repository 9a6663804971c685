"""The contract as a pandera schema, and what a batch of uniform rows makes of it.

All failures are found, not only the first (lazy validation). A row with any failure is quarantined with all its reasons.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
from numpy.typing import NDArray
from pandera.errors import SchemaErrors

from fairlead.data.report import reason_text
from fairlead.data.rowrules import Comparison, parse_rules
from fairlead.errors import DataError
from fairlead.nearest import did_you_mean
from fairlead.schema.validate import FLOAT32_MAX
from fairlead.spec import Column, Contract

REQUIRED = "has no value, but must have one"
_MANY_VALUES = 10


@dataclass(frozen=True, slots=True)
class Failure:
    """Rows of a batch that break one rule.

    Attributes:
        column: Name in the contract; empty for a rule over several columns.
        rule: In words.
        because: The contract's own explanation.
        rows: Positions in the batch, rising.
        shows: Columns whose values explain the failure.
    """

    column: str
    rule: str
    because: str
    rows: NDArray[np.intp]
    shows: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The reason as a person reads it."""
        return reason_text(self.column, self.rule, self.because)


def pandera_schema(contract: Contract, needed: frozenset[str] = frozenset()) -> pandera.DataFrameSchema:
    """The schema of uniform rows. *needed* columns must have a value, whatever the contract allows.

    ``unique`` is not part of it: it is a rule over all rows, and a schema sees one batch.

    Raises:
        ProjectError: A row rule that cannot be read.
    """
    return pandera.DataFrameSchema(
        columns={
            name: pandera.Column(
                dtype=_DTYPES[column.type],
                checks=list(_checks(column)),
                nullable=column.missing == "allow" and name not in needed,
            )
            for name, column in contract.columns.items()
        },
        checks=[_row_check(rule) for rule in parse_rules(contract)],
    )


_DTYPES = {
    "number": "float64", "integer": "float64", "boolean": "boolean", "category": "str", "text": "str",
    "datetime": "datetime64[us]",
}  # fmt: skip


def _checks(column: Column) -> Iterator[pandera.Check]:
    if column.type in ("number", "integer"):  # a model sees float32, and serving refuses more as well
        yield pandera.Check(lambda values: values.abs() <= FLOAT32_MAX, error="is too large")
    if column.type == "integer":
        yield pandera.Check(lambda values: values % 1 == 0, error="must be a whole number")
    if column.minimum is not None:
        yield pandera.Check.ge(column.minimum, error=f"must be at least {column.minimum:g}")
    if column.maximum is not None:
        yield pandera.Check.le(column.maximum, error=f"must be at most {column.maximum:g}")
    if column.values is not None and column.unknown == "refuse":
        yield pandera.Check.isin(column.values, error=f"must be one of {_listed(column.values)}")
    if column.pattern is not None:
        yield _pattern_check(column.pattern)
    if column.type in ("category", "text"):
        longest = column.max_length
        yield pandera.Check(
            lambda values: values.str.len() <= longest, error=f"must have at most {longest:,} characters"
        )


def _pattern_check(pattern: str) -> pandera.Check:
    """Python's own regular expressions, as in serving; Arrow's differ in small ways. Each different text is matched once."""
    matches = re.compile(pattern).fullmatch

    def check(values: pd.Series[str]) -> pd.Series[bool]:
        codes, different = pd.factorize(values)
        fits = np.array([matches(text) is not None for text in different], dtype=bool)
        return pd.Series(fits[codes], index=values.index)

    return pandera.Check(check, error=f"must match {pattern}")


def _row_check(rule: Comparison) -> pandera.Check:
    return pandera.Check(rule.holds, error=rule.text, ignore_na=False)


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(values[:_MANY_VALUES]) + (" …" if len(values) > _MANY_VALUES else "")


class Validator:
    """The compiled contract, to be asked batch after batch."""

    def __init__(self, contract: Contract, needed: frozenset[str] = frozenset()) -> None:
        """Compile the schema once. Raises ProjectError for a row rule that cannot be read."""
        self._schema = pandera_schema(contract, needed)
        self._rules = {rule.text: rule for rule in parse_rules(contract)}

    def failures(self, rows: pa.RecordBatch) -> list[Failure]:
        """All rules that rows of the batch break, in the order of the contract."""
        try:
            self._schema.validate(canonical_frame(rows), lazy=True, inplace=True)
        except SchemaErrors as errors:
            return list(self._read(errors.failure_cases))
        return []

    def _read(self, cases: pd.DataFrame) -> Iterator[Failure]:
        whole_row = cases["schema_context"] == "DataFrameSchema"
        # pandera repeats a failed row rule for every column of the row.
        names = cases["column"].astype(object).where(~whole_row, "")
        for (name, check), some in cases.groupby([names, cases["check"]], sort=False):
            positions = np.unique(some["index"].to_numpy(dtype=np.intp))
            if column := str(name):
                rule = REQUIRED if check == "not_nullable" else str(check)
                yield Failure(column, rule, "", positions, (column,))
            else:
                row_rule = self._rules[str(check)]
                yield Failure("", row_rule.text, row_rule.because, positions, row_rule.columns)


def require_columns(contract: Contract, names: Sequence[str]) -> list[str]:
    """Check that data with the columns *names* has what the contract requires, and return the columns it has besides.

    Raises:
        DataError: A column is not there (the message names the nearest one), or there are others and the contract refuses them.
    """
    wanted = {name: column.source or name for name, column in contract.columns.items()}
    others = [name for name in names if name not in wanted.values()]
    for name, source in wanted.items():
        if source not in names:
            hint = did_you_mean(source, others or names)
            renamed = f" If it was renamed, set `source` of the column {name!r} in the contract."
            raise DataError(
                f"the data has no column {source!r}, which the contract requires", hint=hint + renamed
            )
    if others and contract.extra == "refuse":
        raise DataError(
            f"the data has columns that the contract does not know: {', '.join(others)}",
            hint="Add them to the contract, or set `extra: ignore`.",
        )
    return others


def canonical_frame(rows: pa.RecordBatch) -> pd.DataFrame:
    """Uniform rows as pandera sees them: booleans that may be missing keep their type."""
    frame: pd.DataFrame = rows.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)
    return frame
