"""``contract.yaml``: what the data must look like, in training and in every request that is served.

One small model with two readers: the data stage generates a pandera schema from it, and ``fairlead.schema``
compiles its feature columns into the plain validators that run inside the Bento.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from fairlead.spec.base import SpecModel

DatetimePart = Literal["hour", "weekday", "day", "month", "weekend"]


class Column(SpecModel):
    """One column: its type, what values it may have, and how raw values are made uniform first."""

    type: Literal["number", "integer", "boolean", "category", "text", "datetime"]
    use: Literal["feature", "identifier", "ignore"] = "feature"
    """``identifier``: kept for joins, groups and reports, never shown to the model. ``ignore``: checked, then
    dropped. Target, time and group columns need no ``use``: the project file says what they are."""
    known: Literal["at_prediction", "later"] = "at_prediction"
    """``later``: only known after the outcome (a chargeback date). As a feature it would be a leak and is
    refused."""
    unit: str | None = None
    """Unit after conversion, shown in reports."""
    source: str | None = None
    """Name in the raw data, where it differs from the column's name here."""

    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Categories in their order. Required for ``category`` features, because their order is the model's
    encoding."""
    pattern: str | None = None
    """Regular expression (Python) the whole text must match."""
    max_length: int = Field(default=1_000_000, ge=1)
    """Characters. A bound on what a request may send."""
    unique: bool = False
    """Training only: no value may occur twice."""

    missing: Literal["refuse", "allow"] = "refuse"
    """A missing value: quarantine the row and refuse the request, or allow it."""
    unknown: Literal["refuse", "other"] = "refuse"
    """A category that is not listed: refuse it, or treat it as one unseen value."""

    scale: float | None = None
    """Raw data only: multiplied to raw numbers, to bring them to ``unit``: 0.01 for cents to euros. A request sends values in
    ``unit``."""
    decimal: Annotated[str, Field(min_length=1, max_length=1)] = "."
    """Raw data only: decimal mark."""
    case: Literal["lower", "upper", "keep"] = "keep"
    replace: dict[str, str] = Field(default_factory=dict)
    """Raw data only: raw value to uniform value, after trimming and case. A request sends uniform values."""
    na: tuple[str, ...] = ("", "NA", "NaN", "nan", "null", "None")
    """Raw data only: texts that mean *missing*. A request sends null."""
    formats: tuple[str, ...] = ()
    """Datetime: formats (strptime) tried in order. Empty: ISO 8601."""
    parts: tuple[DatetimePart, ...] = Field(default=("hour", "weekday", "day", "month"), min_length=1)
    """Datetime features: which numbers the model gets of it. A raw timestamp would only teach it the training
    period."""

    @model_validator(mode="after")
    def _rules_fit_the_type(self) -> Self:
        numeric = self.type in ("number", "integer")
        for rule, given, fits in (
            ("minimum", self.minimum is not None, numeric),
            ("maximum", self.maximum is not None, numeric),
            ("scale", self.scale is not None, numeric),
            ("values", self.values is not None, self.type == "category"),
            ("unknown", self.unknown != "refuse", self.type == "category"),
            ("pattern", self.pattern is not None, self.type in ("text", "category")),
            ("max_length", "max_length" in self.model_fields_set, self.type in ("text", "category")),
            ("formats", bool(self.formats), self.type == "datetime"),
            ("parts", "parts" in self.model_fields_set, self.type == "datetime"),
            ("decimal", "decimal" in self.model_fields_set, numeric),
        ):
            if given and not fits:
                raise ValueError(f"{rule} does not apply to type {self.type}")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum:g} is above maximum {self.maximum:g}")
        for name, entries in (("values", self.values or ()), ("parts", self.parts)):
            if len(set(entries)) < len(entries):
                raise ValueError(f"{name} has an entry twice")
        return self

    @field_validator("pattern")
    @classmethod
    def _pattern_compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as cause:
            raise ValueError(f"is not a regular expression: {cause}") from cause
        return value


class RowRule(SpecModel):
    """A rule over several columns of a row. Training only: a request is checked field by field."""

    rule: str
    """A comparison of two columns or a column and a number: ``end >= start``, ``quantity != 0``."""
    because: str = ""
    """The reason, shown beside every row it refuses."""


class Contract(SpecModel):
    """The data contract."""

    apiVersion: Literal["fairlead.contract/v1"]  # noqa: N815 - as in the project file
    columns: dict[str, Column] = Field(min_length=1)
    """By name, in the order the model sees them."""
    rows: tuple[RowRule, ...] = ()
    extra: Literal["ignore", "refuse"] = "ignore"
    """Columns the data has and the contract does not: dropped and listed in the report, or refused."""

    def features(self, *not_features: str | None) -> dict[str, Column]:
        """The columns the model sees: use ``feature``, and none of *not_features* (target, time, group)."""
        return {
            name: column
            for name, column in self.columns.items()
            if column.use == "feature" and name not in not_features
        }


def contract_json(contract: Contract) -> dict[str, Any]:
    """The contract without defaults, as it would be written by hand."""
    return contract.model_dump(mode="json", exclude_defaults=True) | {"apiVersion": contract.apiVersion}
