"""How encoded rows become what an estimator can learn from: scikit-learn steps on integer column positions.

Three ways, because estimators differ in what they can read:

==========  ==========================================================================================
``scaled``  linear models, clustering: numbers imputed by the median and standardised, categories one-hot
``counts``  naive Bayes on texts: as ``scaled``, but numbers between 0 and 1, because counts are not negative
``trees``   numbers and category codes as they are; missing values filled where an estimator cannot read them
==========  ==========================================================================================

Texts become TF-IDF in all three. What is used here is what ONNX has an exact counterpart of: no missing indicators, no
``sublinear_tf`` (the converted model answers differently, by up to 0.03 in a probability), and no lower-casing (the
schema's ``case`` did that before).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from fairlead.schema import Schema, SeriesShape

Way = Literal["scaled", "counts", "trees"]

MISSING = -2.0
"""Category code of a missing value inside a pipeline; the schema's own codes start at -1 (other)."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides about the preprocessing, so that equal recipes can share their work."""

    way: Way
    fill: bool = False
    """Trees only: fill missing values."""
    dense: bool = False
    """The estimator cannot read sparse matrices."""
    ngrams: int = 1
    """Longest run of words that is one term."""
    terms: int = 20_000
    """Most frequent terms kept for each text field."""


def preprocessing(schema: Schema, recipe: Recipe) -> Any | None:
    """An unfitted transformer of :meth:`fairlead.schema.Batch.as_array`; None if the matrix can be read as it is."""
    parts = _tree_parts(schema, recipe) if recipe.way == "trees" else _scaled_parts(schema, recipe)
    width = len(schema.columns)
    parts += [(f"text_{i}", _words(recipe), width + i) for i in range(len(schema.texts))]
    if all(step == "passthrough" for _, step, _ in parts):
        return None
    return ColumnTransformer(parts, sparse_threshold=0.0 if recipe.dense else 0.3)


def _scaled_parts(schema: Schema, recipe: Recipe) -> list[tuple[str, Any, Any]]:
    codes = category_codes(schema)
    numbers = [position for position in range(len(schema.columns)) if position not in codes]
    scaler = MinMaxScaler(clip=True) if recipe.way == "counts" else StandardScaler()
    parts: list[tuple[str, Any, Any]] = []
    if numbers:
        # A column without any value stays, as zeros: positions must not move.
        impute = SimpleImputer(strategy="median", keep_empty_features=True)
        parts.append(("numbers", Pipeline([("impute", impute), ("scale", scaler)]), numbers))
    if codes:
        impute = SimpleImputer(strategy="constant", fill_value=MISSING)
        one_hot = OneHotEncoder(categories=list(codes.values()), handle_unknown="ignore", dtype=np.float32)
        parts.append(("categories", Pipeline([("impute", impute), ("one_hot", one_hot)]), list(codes)))
    return parts


def _tree_parts(schema: Schema, recipe: Recipe) -> list[tuple[str, Any, Any]]:
    everything = list(range(len(schema.columns)))
    if not everything:
        return []
    if not (recipe.fill and may_be_missing(schema)):
        return [("numbers", "passthrough", everything)]
    codes = set(schema.categorical)
    # One imputer a kind of column; the order of columns changes, which trees do not mind.
    numbers = [position for position in everything if position not in codes]
    median = SimpleImputer(strategy="median", keep_empty_features=True)
    constant = SimpleImputer(strategy="constant", fill_value=MISSING)
    parts = [("numbers", median, numbers), ("categories", constant, sorted(codes))]
    return [part for part in parts if part[2]]


def _words(recipe: Recipe) -> TfidfVectorizer:
    return TfidfVectorizer(
        lowercase=False, ngram_range=(1, recipe.ngrams), max_features=recipe.terms, dtype=np.float64
    )


def may_be_missing(schema: Schema) -> bool:
    """Whether any number or category of a valid row can be missing."""
    return any(field.missing == "allow" for field in schema.fields if field.kind != "text")


def category_codes(schema: Schema) -> dict[int, NDArray[np.float64]]:
    """Position of each category column to the codes it can have, rising."""
    if schema.series is not None:
        return _series_codes(schema, schema.series)
    fields = [field for field in schema.fields if field.kind == "category"]
    found = {}
    for position, field in zip(schema.categorical, fields, strict=True):
        lowest = MISSING if field.missing == "allow" else -1.0 if field.unknown == "other" else 0.0
        found[position] = np.arange(lowest, len(field.values))
    return found


def _series_codes(schema: Schema, shape: SeriesShape) -> dict[int, NDArray[np.float64]]:
    """The series, and calendar numbers that come round: Sunday is not six times Tuesday."""
    ranges = {
        "series": (-1, len(shape.keys)),
        "step": (1, shape.horizon + 1),
        "weekday": (0, 7),
        "hour": (0, 24),
    }
    places = {name: place for place, name in enumerate(schema.columns)}
    return {places[name]: np.arange(*map(float, ends)) for name, ends in ranges.items() if name in places}


def plain_numbers(pipeline: Any) -> Any:
    """Make the vocabularies inside a fitted pipeline plain: numpy integers would be a file each in a skops archive."""
    for step in _inner_steps(pipeline):
        if isinstance(step, TfidfVectorizer):
            step.vocabulary_ = {term: int(place) for term, place in sorted(step.vocabulary_.items())}
    return pipeline


def _inner_steps(estimator: Any) -> list[Any]:
    inner = [step for _, step in getattr(estimator, "steps", ())]
    inner += [step for _, step, _ in getattr(estimator, "transformers_", ())]
    return [estimator, *(found for step in inner for found in _inner_steps(step))]
