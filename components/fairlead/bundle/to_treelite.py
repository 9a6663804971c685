"""Tree ensembles to treelite: exact where ONNX compares in float32, and several times as slow.

treelite reads the matrix itself, so only models whose preprocessing gives the matrix back unchanged can be written.
"""

from __future__ import annotations

import warnings
from typing import Any

from fairlead.bundle.formats import NotSupportedError, steps_of
from fairlead.schema import Schema

ENSEMBLES = frozenset({
    "RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor",
    "GradientBoostingClassifier", "GradientBoostingRegressor",
    "HistGradientBoostingClassifier", "HistGradientBoostingRegressor",
})  # fmt: skip
"""What treelite imports from scikit-learn and answers with probabilities or values."""


def to_treelite(estimator: Any, schema: Schema) -> bytes:
    """The fitted pipeline as a serialised treelite model. The same model gives the same bytes.

    Raises:
        NotSupportedError: The model is no tree ensemble, or something happens before it.
    """
    if schema.texts:
        raise NotSupportedError("it reads text; treelite reads numbers only")
    before, final = steps_of(estimator)
    if before:
        raise NotSupportedError(
            f"{type(before[0]).__name__} comes before the trees; treelite holds trees only"
        )
    if type(final).__name__ not in ENSEMBLES:
        raise NotSupportedError(f"{type(final).__name__} is not a tree ensemble that treelite imports")
    return _imported(final)


def _imported(ensemble: Any) -> bytes:
    import treelite  # noqa: PLC0415 - a shared library that most candidates never need

    try:
        with warnings.catch_warnings():
            # It casts the category "missing" to an integer and warns; whether that was right, parity tells.
            warnings.simplefilter("ignore", RuntimeWarning)
            return bytes(treelite.sklearn.import_model(ensemble).serialize_bytes())
    except Exception as cause:
        raise NotSupportedError(f"treelite refused {type(ensemble).__name__}: {first_line(cause)}") from cause


def first_line(error: BaseException) -> str:
    """The first line of an error's text, at most 200 characters; its type if it has no text."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
