"""A first data contract from what the data looks like: a starting point to be read and made stricter by a person.

What the data cannot tell (what a column means, what is known at prediction time, which values would be wrong) is not guessed;
a comment beside each column says what was seen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fairlead.data.hashing import value_hashes
from fairlead.data.uniform import as_text, parsed_booleans, parsed_numbers, plain, shown
from fairlead.errors import DataError
from fairlead.records import Source
from fairlead.report.numbers import number, percent
from fairlead.spec import Column, Project, parse_contract

MOST_CATEGORIES = 50
FORMATS = (
    "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y", "%d/%m/%Y",
    "%m/%d/%y %H:%M", "%m/%d/%y", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d", "%d %b %Y",
)  # fmt: skip
"""Formats of dates that are tried after ISO 8601. Where day and month could be either, the American order wins, and a comment
beside the column says so."""
_NA = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
_UNIQUE_ROWS = 500_000
"""Rows in which values are looked at for being unique: as many as fit in a few tens of megabytes of hashes."""
_LONG = 25
"""Mean characters from which a column of many different texts is language and not a code or a name."""
_PROBE = 100

Values = NDArray[Any]
Reading = Callable[[pa.Array], Values | None]
"""Different texts to values that can be ordered; None if any of them cannot be read."""


def infer(source: Source, project: Project | None) -> str:
    """Read all of *source* and write a contract.

    Args:
        source: Raw rows.
        project: Says which column is the target, so that class labels become categories; None if there is none yet.

    Returns:
        YAML text that :func:`fairlead.spec.parse_contract` accepts.

    Raises:
        DataError: The source has no rows.
    """
    seen = look_at(source.batches())
    if not any(column.rows for column in seen.values()):
        raise DataError("the source has no rows to infer a contract from")
    text = "\n".join(_lines(seen, project, source.description)) + "\n"
    parse_contract(text, name="the inferred contract")
    return text


# ------------------------------------------------------------------------------------------------- readings


def _numbers(texts: pa.Array, *, whole: bool, decimal: str = ".") -> Values | None:
    if pc.any(pc.match_substring_regex(texts, r"^[+-]?0\d")).as_py():
        return None  # 0049: a code, which would lose its zeros as a number
    if decimal != ".":
        texts = pc.replace_substring(texts, decimal, ".")
    read = parsed_numbers(texts)
    if read.null_count:
        return None
    values = np.asarray(read)
    return None if whole and (values % 1 != 0).any() else values


def _booleans(texts: pa.Array) -> Values | None:
    words = pc.invert(pc.match_substring_regex(texts, r"\d"))  # 0 and 1 are read as whole numbers
    read = parsed_booleans(texts)
    return None if read.null_count or not pc.all(words).as_py() else np.asarray(read)


def _times(texts: pa.Array, form: str) -> Values | None:
    read = pd.to_datetime(pd.Series(texts.to_pylist(), dtype=object), format=form, errors="coerce", utc=True)
    return None if read.isna().any() else read.dt.tz_localize(None).to_numpy().astype("datetime64[us]")


READINGS: Mapping[str, Reading] = {
    "boolean": _booleans,
    "integer": partial(_numbers, whole=True),
    "number": partial(_numbers, whole=False),
    "number with comma": partial(_numbers, whole=False, decimal=","),
    "ISO8601": partial(_times, form="ISO8601"),
    **{form: partial(_times, form=form) for form in FORMATS},
}
"""Ways to read a column, the most telling first. A column is of the first one that every value fits."""


@dataclass(slots=True)
class Seen:
    """What is known of one column so far."""

    rows: int = 0
    missing: int = 0
    na: dict[str, None] = field(default_factory=dict)
    """Texts that stand for missing values."""
    readings: dict[str, tuple[Any, Any] | None] = field(default_factory=lambda: dict.fromkeys(READINGS))
    """Ways to read it that no value has contradicted, with the smallest and the largest value."""
    values: dict[str, None] | None = field(default_factory=dict)
    """Different texts; None once there are too many for categories."""
    characters: int = 0
    longest: int = 0
    _hashes: set[int] = field(default_factory=set)
    _repeated: bool = False

    def add(self, raw: pa.Array) -> None:
        """Look at the values of one batch."""
        text = pc.utf8_trim_whitespace(as_text(plain(raw)))
        gone = pc.fill_null(pc.is_in(text, value_set=pa.array(_NA)), True)
        self.na.update(dict.fromkeys(value for value in pc.unique(text.filter(gone)).to_pylist() if value))
        known = text.filter(pc.invert(pc.or_(gone, pc.is_null(text))))
        self.rows += len(text)
        self.missing += len(text) - len(known)
        if len(known):
            self._narrow(known, pc.unique(known))

    def _narrow(self, known: pa.Array, different: pa.Array) -> None:
        for name in list(self.readings):
            self._try(name, different)
        if self.values is not None:
            self.values.update(dict.fromkeys(different.to_pylist()))
            self.values = self.values if len(self.values) <= MOST_CATEGORIES else None
        lengths = pc.utf8_length(known)
        self.characters += pc.sum(lengths).as_py()
        self.longest = max(self.longest, pc.max(lengths).as_py())
        if not self._repeated and self.rows <= _UNIQUE_ROWS:
            hashes = value_hashes(different).tolist()
            self._repeated = len(different) < len(known) or not self._hashes.isdisjoint(hashes)
            self._hashes.update(hashes)

    def _try(self, name: str, different: pa.Array) -> None:
        read = READINGS[name]
        # A few values settle most cases without parsing all of them.
        values = read(different) if read(different[:_PROBE]) is not None else None
        if values is None:
            del self.readings[name]
            return
        low, high = values.min(), values.max()
        known = self.readings[name]
        self.readings[name] = (low, high) if known is None else (min(low, known[0]), max(high, known[1]))

    @property
    def known(self) -> int:
        """Values that are there."""
        return self.rows - self.missing

    @property
    def unique(self) -> bool:
        """Whether no value was seen twice."""
        return not self._repeated and self.known > 1


def look_at(batches: Iterable[pa.RecordBatch]) -> dict[str, Seen]:
    """What is seen of each column, in the source's order."""
    seen: dict[str, Seen] = {}
    rows = 0
    for batch in batches:
        for name in batch.schema.names:
            seen.setdefault(name, Seen(rows=rows, missing=rows)).add(batch.column(name))
        rows += batch.num_rows
    return seen


# ------------------------------------------------------------------------------------------------- contract


def guess(seen: Seen, *, label: bool = False) -> tuple[dict[str, Any], str]:
    """The contract's entry for a column, and a comment on what was seen.

    Args:
        seen: The column.
        label: Whether it is the target of a classification.
    """
    if not seen.known:
        return {"type": "text", "use": "ignore", "missing": "allow"}, "no value at all"
    reading = next(iter(seen.readings), "text")
    if label and seen.values is not None and reading != "boolean":
        entry, comment = _category(seen)
    elif reading in ("boolean", "integer", "number", "number with comma"):
        entry, comment = _number(seen, reading)
    elif reading != "text":
        entry, comment = _time(seen, reading)
    else:
        entry, comment = _text(seen)
    if seen.missing:
        entry["missing"] = "allow"
        comment += f"; {percent(seen.missing / seen.rows)} missing"
    added = [text for text in seen.na if text not in Column.model_fields["na"].default]
    if added:
        entry["na"] = [*Column.model_fields["na"].default, *added]
    return entry, comment


def _number(seen: Seen, reading: str) -> tuple[dict[str, Any], str]:
    if reading == "boolean":
        return {"type": "boolean"}, ", ".join(seen.values or ())
    low, high = seen.readings[reading] or (0.0, 0.0)
    entry: dict[str, Any] = {"type": reading.split(maxsplit=1)[0]}
    if reading == "number with comma":
        entry["decimal"] = ","
    if reading == "integer" and seen.unique:
        entry["use"] = "identifier"
    elif low >= 0:
        entry["minimum"] = 0
    comment = f"{number(float(low))} to {number(float(high))}"
    return entry, f"{comment}, all different" if entry.get("use") else comment


def _time(seen: Seen, reading: str) -> tuple[dict[str, Any], str]:
    low, high = seen.readings[reading] or ("", "")
    entry: dict[str, Any] = {"type": "datetime"}
    comment = f"{_moment(low)} to {_moment(high)}"
    if reading != "ISO8601":
        entry["formats"] = [reading]
        others = [form for form in seen.readings if form != reading]
        if others:
            comment += f"; could be {others[0]} as well"
    return entry, comment


def _moment(value: object) -> str:
    return str(value).partition(".")[0].replace("T", " ")


def _text(seen: Seen) -> tuple[dict[str, Any], str]:
    mean = seen.characters / seen.known
    if mean >= _LONG:
        return {"type": "text"}, f"{number(mean, 3)} characters on average, at most {seen.longest:,}"
    if seen.unique:
        return {"type": "text", "use": "identifier"}, f"all different, such as {_example(seen)}"
    if seen.values is not None:
        return _category(seen)
    comment = f"more than {MOST_CATEGORIES} different values: list them to make it a category feature"
    return {"type": "text", "use": "identifier"}, comment


def _category(seen: Seen) -> tuple[dict[str, Any], str]:
    values = sorted(seen.values or ())
    folded = sorted({value.upper() for value in values})
    if len(folded) == len(values):
        return {"type": "category", "values": values}, f"{len(values)} values"
    comment = f"{len(folded)} values, written in upper and lower case"
    return {"type": "category", "values": folded, "case": "upper"}, comment


def _example(seen: Seen) -> str:
    return shown(next(iter(seen.values)), 20) if seen.values else "codes or names"


def _lines(seen: Mapping[str, Seen], project: Project | None, source: str) -> Iterator[str]:
    data, task = (project.data, project.model.task) if project else (None, None)
    roles = {data.target: "the target", data.time: "the time", data.group: "the group"} if data else {}
    rows = max(column.rows for column in seen.values())
    yield f"# A first guess from {rows:,} rows of {' '.join(source.split())}."
    yield "# Check every type; add units and limits that you know; mark what is only known later (known: later)."
    yield "apiVersion: fairlead.contract/v1"
    yield "columns:"
    for name, column in seen.items():
        label = data is not None and name == data.target and task == "classification"
        entry, comment = guess(column, label=label)
        if name in roles and entry.get("use") == "identifier":
            del entry["use"]
        part = f"{roles[name]}; " if name in roles else ""
        yield f"  {_scalar(name)}: {_flow(entry)}  # {part}{comment.replace(chr(10), ' ')}"


def _flow(entry: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {_value(value)}" for key, value in entry.items()) + "}"


def _value(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    return _scalar(value)


def _scalar(value: object) -> str:
    """YAML for a name or a value: plain where that cannot be mistaken for anything else, else in double quotes."""
    text = str(value)
    if isinstance(value, int) or (text.isidentifier() and text.isascii() and text.lower() not in _YAML_WORDS):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


_YAML_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
