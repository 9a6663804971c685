"""Frozen descriptions of what goes into a model and what comes out, and their JSON form (``schema.json``)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

FieldKind = Literal["number", "integer", "boolean", "category", "text", "datetime"]
TaskKind = Literal["classification", "regression", "forecast", "clustering"]

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Field:
    """One named value of a request row."""

    name: str
    kind: FieldKind
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] = ()
    """Categories; the position is the code the model sees."""
    pattern: str = ""
    max_length: int = 1_000_000
    missing: Literal["refuse", "allow"] = "refuse"
    unknown: Literal["refuse", "other"] = "refuse"
    case: Literal["lower", "upper", "keep"] = "keep"
    parts: tuple[str, ...] = ()
    """Datetime: the calendar numbers the model sees, one encoded column each."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the encoded columns this field becomes; none for text, which stays text.

        >>> Field("at", "datetime", parts=("hour", "weekday")).columns
        ('at.hour', 'at.weekday')
        """
        if self.kind == "text":
            return ()
        if self.kind == "datetime":
            return tuple(f"{self.name}.{part}" for part in self.parts)
        return (self.name,)


@dataclass(frozen=True, slots=True)
class SeriesShape:
    """Forecast only: what one request row carries. ``fairlead.schema.series`` makes features of it."""

    keys: tuple[str, ...]
    """Values of the series key seen in training; the position is the code the model sees."""
    every: Literal["hour", "day", "week"]
    window: int
    horizon: int
    season: int

    @property
    def lags(self) -> tuple[int, ...]:
        """Which past values become features: the last season, and every season's start inside the window.

        >>> SeriesShape((), "day", window=21, horizon=7, season=7).lags
        (0, 1, 2, 3, 4, 5, 6, 13, 20)
        """
        recent = range(min(self.season, self.window))
        seasonal = range(self.season - 1, self.window, self.season)
        return tuple(sorted({*recent, *seasonal}))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the encoded columns, in order. Column 0 is the series' code."""
        calendar = (
            ("weekday", "day", "month", "hour") if self.every == "hour" else ("weekday", "day", "month")
        )
        return (
            "series", "step", "seasonal_naive", "mean_season", "mean_window", "std_window", "trend",
            *(f"lag_{lag}" for lag in self.lags), *calendar,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Output:
    """What the model gives for a row."""

    task: TaskKind
    target: str = ""
    classes: tuple[str, ...] = ()
    """Labels in the order of the probability columns (classification)."""
    positive: str = ""
    """The class that the threshold is about (two classes)."""
    threshold: float = 0.5
    """Positive is called at this probability or above (two classes)."""
    clusters: int = 0
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Schema:
    """Everything a caller needs to know to send a row and read the answer."""

    name: str
    fields: tuple[Field, ...]
    output: Output
    series: SeriesShape | None = None
    version: int = SCHEMA_VERSION

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the numeric columns after encoding, in order."""
        if self.series is not None:
            return self.series.columns
        return tuple(column for field in self.fields for column in field.columns)

    @property
    def texts(self) -> tuple[str, ...]:
        """Names of the text fields, in order."""
        return tuple(field.name for field in self.fields if field.kind == "text")

    @property
    def categorical(self) -> tuple[int, ...]:
        """Positions of the encoded columns with category codes (0 … k-1; -1 is *other*; NaN is missing)."""
        if self.series is not None:
            return (0,)
        position, found = 0, []
        for field in self.fields:
            if field.kind == "category":
                found.append(position)
            position += len(field.columns)
        return tuple(found)

    def field(self, name: str) -> Field:
        """The field of this name; KeyError if there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    def with_output(self, **changes: Any) -> Schema:
        """The same inputs with a changed output, such as a threshold chosen after training."""
        return dataclasses.replace(self, output=dataclasses.replace(self.output, **changes))

    def to_json(self) -> str:
        """Canonical JSON: the same schema is the same text, byte for byte."""
        plain = dataclasses.asdict(self)
        return json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Schema:
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: The text is of a later version, or is no schema.
        """
        raw: Mapping[str, Any] = json.loads(text)
        if raw.get("version") != SCHEMA_VERSION:
            raise ValueError(
                f"schema version is {raw.get('version')!r}, this fairlead reads {SCHEMA_VERSION}"
            )
        return cls(
            name=raw["name"],
            fields=tuple(Field(**_tuples(field)) for field in raw["fields"]),
            output=Output(**_tuples(raw["output"])),
            series=SeriesShape(**_tuples(raw["series"])) if raw["series"] else None,
        )


def _tuples(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
