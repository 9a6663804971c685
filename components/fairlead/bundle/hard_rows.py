"""Rows on which conversions go wrong, made from held-out rows by changing one value at a time.

Numbers go to quantiles, to the contract's limits, to missing (where the contract allows it) and to both sides of every
split threshold; categories to every code, *other* included; texts to what tokenisers stumble over. Only values that a
request could carry are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.bundle.thresholds import around
from fairlead.schema import Batch, Field, Schema
from fairlead.schema.encode import OTHER, encode_text

MOST = 8_000
"""Most rows made. More thresholds than this are sampled, evenly over each column."""

_QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


def hard_rows(
    schema: Schema, heldout: Batch, thresholds: Mapping[int, NDArray[np.float64]], most: int = MOST
) -> Batch:
    """Held-out rows with one value replaced in each, in a fixed order.

    Args:
        schema: Which column may hold what.
        heldout: Rows to change; none gives none.
        thresholds: Split values by column, from :func:`~fairlead.bundle.thresholds.split_thresholds`.
        most: Largest number of rows.
    """
    if not len(heldout):
        return heldout
    columns = range(heldout.numbers.shape[1])
    share = max(20, most // max(1, len(columns) + len(heldout.texts)))
    parts = [_number_rows(heldout, column, _spread(_probes(schema, heldout, column, thresholds), share))
             for column in columns]  # fmt: skip
    parts += [_text_rows(heldout, schema, position) for position in range(len(heldout.texts))]
    return _joined(parts)


def _number_rows(heldout: Batch, column: int, values: NDArray[np.float32]) -> Batch:
    changed = heldout.take(np.arange(len(values)) % len(heldout))
    numbers = changed.numbers.copy()
    numbers[:, column] = values
    return Batch(numbers, changed.texts)


def _probes(
    schema: Schema, heldout: Batch, column: int, thresholds: Mapping[int, NDArray[np.float64]]
) -> NDArray[np.float32]:
    """Values worth trying in one column, sorted, missing last."""
    seen = heldout.numbers[:, column]
    present = seen[~np.isnan(seen)]
    field = field_of(schema, column)
    missing = [np.nan] if (field is not None and field.missing == "allow") or len(present) < len(seen) else []
    if column in schema.categorical:
        return np.array([*_codes(schema, field), *missing], np.float32)
    quantiles: Any = np.quantile(present, _QUANTILES, method="nearest") if len(present) else []
    splits: Any = around(thresholds[column]) if column in thresholds else []
    inside = _allowed(np.concatenate([quantiles, splits]).astype(np.float32), field)
    return np.concatenate([np.unique(inside), np.array(missing, np.float32)])


def _codes(schema: Schema, field: Field | None) -> list[float]:
    """Every code the column can hold, *other* included where requests may bring an unlisted value."""
    if field is None:
        series = schema.series
        return [OTHER, *map(float, range(len(series.keys)))] if series is not None else [OTHER]
    return [*([OTHER] if field.unknown == "other" else []), *map(float, range(len(field.values)))]


def _allowed(values: NDArray[np.float32], field: Field | None) -> NDArray[np.float32]:
    """Without what the contract refuses; with its limits, which a request may reach though no row did."""
    if field is None or field.kind == "datetime":
        return values
    if field.kind == "boolean":
        return np.array([0.0, 1.0], np.float32)
    low = np.float32(-np.inf if field.minimum is None else field.minimum)
    high = np.float32(np.inf if field.maximum is None else field.maximum)
    limits = [limit for limit in (low, high) if np.isfinite(limit)]
    whole = np.concatenate([np.floor(values), np.ceil(values)]) if field.kind == "integer" else values
    return np.concatenate([whole[(whole >= low) & (whole <= high)], np.array(limits, np.float32)])


def field_of(schema: Schema, column: int) -> Field | None:
    """The field an encoded column belongs to; None for a series, whose columns are computed."""
    if schema.series is not None:
        return None
    owners = [field for field in schema.fields for _ in field.columns]
    return owners[column]


def _spread(values: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """At most *most* of the values, evenly over their order, first and last included.

    >>> _spread(np.arange(10, dtype=np.float32), 4).tolist()
    [0.0, 3.0, 6.0, 9.0]
    """
    if len(values) <= most:
        return values
    spread: NDArray[np.float32] = values[np.linspace(0, len(values) - 1, most).round().astype(np.intp)]
    return spread


_TEXTS = (
    "", " ", "\n\t\r", "a", "_", "a b c d", "...!?", "0", "1234567890", "x" * 5_000,
    "École naïve, ça coûte 3 €", "e\u0301cole de\u0301ja\u0300 vu", "Straße ÜBER Ⅷ x² ①", "हिन्दी 漢字 テスト 한국어 عربى עברית",
    "emoji😀between👍🏽words", "zero\u200bwidth no\u00a0break soft\u00adhyphen", "snake_case kebab-case don't e.g. a.b@c.example",
    "<b>tags</b> &amp; https://example.org/?q=1#x", "nul\x00byte", "\u2018quoted\u2019 “words” — dash…",
)  # fmt: skip


def _text_rows(heldout: Batch, schema: Schema, position: int) -> Batch:
    """Rows with a text that is hard in itself, and texts of the held-out rows made hard."""
    field = schema.field(schema.texts[position])
    own = [str(text) for text in heldout.texts[position][:20]]
    words = sorted({word for text in own for word in text.split()[:5]})[:50]
    made = [*_TEXTS, *words, *(text.upper() for text in own), *(text.replace("e", "é") for text in own),
            *(text.replace(" ", "\n") for text in own), "\n".join(own), (own[0] + " ") * 50]  # fmt: skip
    values = encode_text(field, [text[: field.max_length] for text in made])
    changed = heldout.take(np.arange(len(values)) % len(heldout))
    texts = (*changed.texts[:position], values, *changed.texts[position + 1 :])
    return Batch(changed.numbers, texts)


def _joined(parts: list[Batch]) -> Batch:
    numbers = np.concatenate([part.numbers for part in parts])
    texts = zip(*(part.texts for part in parts), strict=True)
    return Batch(numbers, tuple(np.concatenate(text) for text in texts))
