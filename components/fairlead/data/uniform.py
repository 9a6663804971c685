"""Raw values to canonical ones: types, units, formats, case, missing values, as the contract's column says.

Canonical types are those of a dataset: number and integer float64, boolean bool, category and text string, datetime
timestamp in microseconds without zone (UTC where the raw value had a zone). A value that cannot be read is null and marked as
broken; the row is quarantined, never repaired by guessing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fairlead.data.report import EXAMPLES
from fairlead.schema.encode import FOLD
from fairlead.spec import Column

CANONICAL: dict[str, pa.DataType] = {
    "number": pa.float64(), "integer": pa.float64(), "boolean": pa.bool_(),
    "category": pa.string(), "text": pa.string(), "datetime": pa.timestamp("us"),
}  # fmt: skip
"""Type of the contract to type in the dataset."""

UNREADABLE: dict[str, str] = {
    "number": "is not a number", "integer": "is not a number", "boolean": "is not true or false",
    "category": "is not a text", "text": "is not a text", "datetime": "is not a date and time",
}  # fmt: skip
"""What is said of a value that cannot be read as the contract's type."""

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_TRUE = pa.array(["true", "t", "yes", "y", "1", "1.0"])
_FALSE = pa.array(["false", "f", "no", "n", "0", "0.0"])
MISSING = "(missing)"


@dataclass(frozen=True, slots=True)
class Step:
    """One way in which values were changed."""

    action: str
    why: str
    count: int
    examples: list[tuple[str, str]]


@dataclass(slots=True)
class Uniform:
    """One column made uniform.

    Attributes:
        values: Canonical type, null where missing or broken.
        broken: (rows,) True where a value was there and could not be read.
        steps: What was changed.
    """

    values: pa.Array
    broken: NDArray[np.bool_]
    steps: list[Step] = field(default_factory=list)


def uniform(raw: pa.Array, column: Column) -> Uniform:
    """Make one column of a batch uniform.

    >>> made = uniform(pa.array([" 1,5", "n/a", "x"]), Column(type="number", decimal=",", na=("n/a",)))
    >>> made.values.to_pylist(), made.broken.tolist()
    ([1.5, None, None], [False, False, True])
    >>> [step.action for step in made.steps]
    ['trimmed', 'read as missing', 'decimal mark']
    """
    steps: list[Step] = []
    values = plain(raw)
    if column.replace or column.type in ("category", "text") or not _fits(values.type, column.type):
        values = as_text(values)
    if pa.types.is_string(values.type):
        values = _made_uniform_text(values, column, steps)
    made = {
        "number": _numbers, "integer": _numbers, "boolean": _booleans,
        "category": _texts, "text": _texts, "datetime": _datetimes,
    }[column.type](values, column, steps)  # fmt: skip
    lost = pc.and_(pc.is_valid(values), pc.is_null(made))
    return Uniform(made, np.asarray(lost), steps)


def plain(raw: pa.Array) -> pa.Array:
    """Without dictionary encoding, views and NaN, which all say nothing more than the plain value or null."""
    if isinstance(raw, pa.ChunkedArray):
        raw = raw.combine_chunks()
    if pa.types.is_dictionary(raw.type):
        raw = raw.dictionary_decode()
    if pa.types.is_large_string(raw.type) or pa.types.is_string_view(raw.type) or pa.types.is_null(raw.type):
        return raw.cast(pa.string())
    if pa.types.is_floating(raw.type):
        raw = raw.cast(pa.float64())
        return pc.if_else(pc.is_nan(raw), pa.scalar(None, pa.float64()), raw)
    return raw


def _fits(kind: pa.DataType, wanted: str) -> bool:
    """Whether raw values of Arrow type *kind* can be read as *wanted* without going through text."""
    match wanted:
        case "number" | "integer":
            return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
        case "boolean":
            return bool(pa.types.is_boolean(kind))
        case "datetime":
            return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))
        case _:
            return False


def as_text(values: pa.Array) -> pa.Array:
    """Values of any plain type as text; bytes that are no UTF-8 are replaced."""
    if pa.types.is_string(values.type):
        return values
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        decoded = [None if raw is None else raw.decode("utf-8", "replace") for raw in values.to_pylist()]
        return pa.array(decoded, pa.string())
    return values.cast(pa.string())


# ------------------------------------------------------------------------------------------------------ text


def _made_uniform_text(values: pa.Array, column: Column, steps: list[Step]) -> pa.Array:
    """Trimmed, missing values recognised, case folded, replaced: in this order."""
    trimmed = pc.utf8_trim_whitespace(values)
    _note(steps, values, trimmed, "trimmed", "white space around a value means nothing")
    missing = pc.is_in(trimmed, value_set=pa.array(column.na, pa.string()))
    known = pc.if_else(missing, pa.scalar(None, pa.string()), trimmed)
    _note(steps, trimmed, known, "read as missing", "na lists these texts")
    folded = _folded(known, column.case)
    _note(steps, known, folded, f"{column.case} case", f"case: {column.case}")
    replaced = _replaced(folded, column.replace)
    _note(steps, folded, replaced, "replaced", "replace lists these values")
    return replaced


def _folded(values: pa.Array, case: str) -> pa.Array:
    """By the function that serving uses: Arrow's own folds a Greek final sigma and a dotted capital I otherwise."""
    if case == "keep":
        return values
    encoded = values.dictionary_encode()
    different = [FOLD[case](text) for text in encoded.dictionary.to_pylist()]
    return pc.take(pa.array(different, pa.string()), encoded.indices)


def _replaced(values: pa.Array, replace: dict[str, str]) -> pa.Array:
    if not replace:
        return values
    found = pc.index_in(values, value_set=pa.array(list(replace), pa.string()))
    return pc.coalesce(pc.take(pa.array(list(replace.values()), pa.string()), found), values)


def _texts(values: pa.Array, _column: Column, _steps: list[Step]) -> pa.Array:
    return values


# --------------------------------------------------------------------------------------------------- numbers


def _numbers(values: pa.Array, column: Column, steps: list[Step]) -> pa.Array:
    if pa.types.is_string(values.type):
        values = _parsed_numbers(values, column, steps)
    numbers = values.cast(pa.float64(), safe=False)
    finite = pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))
    if column.scale is None:
        return finite
    scaled = pc.multiply(finite, column.scale)
    _note(
        steps,
        finite,
        scaled,
        "converted",
        f"scale: {column.scale:g}" + (f", to {column.unit}" if column.unit else ""),
    )
    return scaled


def _parsed_numbers(values: pa.Array, column: Column, steps: list[Step]) -> pa.Array:
    text = values
    if column.decimal != ".":
        text = pc.replace_substring(values, column.decimal, ".")
        _note(steps, values, text, "decimal mark", f"decimal: {column.decimal!r}")
    return parsed_numbers(text)


def parsed_numbers(text: pa.Array) -> pa.Array:
    """Decimal numbers as float64, null where a text is none."""
    try:
        return text.cast(pa.float64())  # the usual case, all of them numbers, is fast
    except pa.ArrowInvalid:
        numeric = pc.match_substring_regex(text, _NUMBER)
        return pc.if_else(numeric, text, pa.scalar(None, pa.string())).cast(pa.float64())


def _booleans(values: pa.Array, _column: Column, _steps: list[Step]) -> pa.Array:
    return values if pa.types.is_boolean(values.type) else parsed_booleans(values)


def parsed_booleans(text: pa.Array) -> pa.Array:
    """Words for true and false, and 1 and 0, as bool, null where a text is none of them."""
    words = pc.utf8_lower(text)
    nothing = pa.scalar(None, pa.bool_())
    return pc.if_else(
        pc.is_in(words, value_set=_TRUE), True, pc.if_else(pc.is_in(words, value_set=_FALSE), False, nothing)
    )


# ----------------------------------------------------------------------------------------------------- times


def _datetimes(values: pa.Array, column: Column, steps: list[Step]) -> pa.Array:
    if not pa.types.is_string(values.type):
        return _without_zone(values)
    if not column.formats:
        try:
            return values.cast(pa.timestamp("us"))  # ISO 8601 without a zone
        except pa.ArrowInvalid:
            return _by_format(values, "ISO8601")
    made = pa.nulls(len(values), pa.timestamp("us"))
    for form in column.formats:
        unread = pc.if_else(pc.is_null(made), values, pa.scalar(None, pa.string()))
        read = _by_format(unread, form)
        _note(steps, unread, read, "date format", f"formats has {form}", where=pc.is_valid(read))
        made = pc.coalesce(made, read)
    return made


def _without_zone(values: pa.Array) -> pa.Array:
    """Arrow keeps times with a zone in UTC; the zone is only how they are shown."""
    if pa.types.is_timestamp(values.type) and values.type.tz is not None:
        values = values.cast(pa.timestamp(values.type.unit, "UTC")).cast(pa.timestamp(values.type.unit))
    return values.cast(pa.timestamp("us"), safe=False)


def _by_format(values: pa.Array, form: str) -> pa.Array:
    """Parse each different text once: dates repeat."""
    encoded = values.dictionary_encode()
    texts = pd.Series(encoded.dictionary.to_pylist(), dtype=object)
    moments = pd.to_datetime(texts, format=form, errors="coerce", utc=True).dt.tz_localize(None)
    different = pa.array(moments.astype("datetime64[us]"), pa.timestamp("us"), from_pandas=True)
    return pc.take(different, encoded.indices)


# --------------------------------------------------------------------------------------------------- account


def _note(
    steps: list[Step], before: pa.Array, after: pa.Array, action: str, why: str, where: pa.Array | None = None
) -> None:
    """Write down where *after* differs from *before* (or *where* it is said to)."""
    if before is after:
        return
    changed = where if where is not None else _different(before, after)
    count = pc.sum(changed).as_py() or 0
    if count:
        steps.append(Step(action, why, count, list(_examples(before, after, changed))))


def _different(before: pa.Array, after: pa.Array) -> pa.Array:
    became_null = pc.and_(pc.is_valid(before), pc.is_null(after))
    return pc.or_(became_null, pc.fill_null(pc.not_equal(before, after), False))


def _examples(before: pa.Array, after: pa.Array, changed: pa.Array) -> Iterator[tuple[str, str]]:
    rows = pc.indices_nonzero(changed)[:EXAMPLES]
    for old, new in zip(before.take(rows).to_pylist(), after.take(rows).to_pylist(), strict=True):
        yield shown(old), shown(new)


def shown(value: object, limit: int = 80) -> str:
    """A value as reports show it: short, and told apart from a missing one."""
    if value is None:
        return MISSING
    text = str(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
