"""TF-IDF vocabularies cut to the terms whose weights tell the classes apart.

A linear model over texts is mostly its list of terms: each takes its letters and a weight an output, and most weights
hardly matter. Cutting a term changes the length by which TF-IDF divides a row, so the others gain a little: it is a
different model, and is measured as one.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.bundle.formats import steps_of

_BY_COLUMN = ("coef_", "feature_log_prob_", "feature_count_", "feature_all_")
"""Attributes of linear models and naive Bayes whose last axis is the columns."""


def has_terms(estimator: Any) -> bool:
    """Whether a pipeline is a column transformer with TF-IDF in it, followed by a model."""
    before, _ = steps_of(estimator)
    return len(before) == 1 and any(True for _ in _vectorisers(before[0]))


def with_fewer_terms(
    estimator: Any, share: float, weights: NDArray[np.float64] | None
) -> tuple[Any, int, int]:
    """A copy that knows only the *share* of terms with the largest weights; other columns stay.

    Args:
        estimator: A fitted pipeline for which :func:`has_terms`.
        share: Of the terms of each text field.
        weights: (outputs, columns) of the final model; without them all terms matter alike.

    Returns:
        The copy, the terms it knows, and the terms the original knows.
    """
    again = copy.deepcopy(estimator)
    [transformer], final = steps_of(again)
    width = transformer.output_indices_
    every = max(place.stop for place in width.values())
    strength = np.ones(every) if weights is None else importance(weights)
    kept, slices, before, start = [], {}, 0, 0
    vectorisers = dict(_vectorisers(transformer))
    for name, place in width.items():
        columns = np.arange(place.start, place.stop)
        if name in vectorisers:
            before += len(columns)
            terms = terms_of(vectorisers[name])
            chosen = with_beginnings(terms, strongest(strength[columns], share))
            _keep_terms(vectorisers[name], terms, chosen)
            columns = place.start + chosen
        kept.append(columns)
        slices[name] = slice(start, start := start + len(columns))
    transformer.output_indices_ = slices
    columns = np.concatenate(kept)
    _keep_columns(final, columns)
    return again, len(columns) - (every - before), before


def importance(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much each column can move an answer: its weight, or with several outputs how far its weights are apart.

    >>> importance(np.array([[-2.0, 0.5]])).tolist(), importance(np.array([[1.0, 3.0], [1.5, 3.0]])).tolist()
    ([2.0, 0.5], [0.5, 0.0])
    """
    spread: NDArray[np.float64] = np.abs(weights[0]) if len(weights) == 1 else np.ptp(weights, axis=0)
    return spread


def strongest(strength: NDArray[np.float64], share: float) -> NDArray[np.intp]:
    """Positions of the strongest *share*, at least one, rising; among equals the first.

    >>> strongest(np.array([1.0, 5.0, 1.0, 3.0]), 0.75).tolist()
    [0, 1, 3]
    """
    most = max(1, round(share * len(strength))) if len(strength) else 0
    return np.sort(np.argsort(-strength, kind="stable")[:most])


def with_beginnings(terms: Sequence[str], chosen: NDArray[np.intp]) -> NDArray[np.intp]:
    """The chosen positions and those of the words, and of the beginnings, of every chosen run of words.

    ONNX Runtime looks runs up word by word, and loses count of a run whose parts are not terms themselves.

    >>> with_beginnings(["free", "free money", "money", "noon"], np.array([1])).tolist()
    [0, 1, 2]
    """
    place = {term: position for position, term in enumerate(terms)}
    found = set(chosen.tolist())
    for position in chosen.tolist():
        words = terms[position].split(" ")
        parts = [*words, *(" ".join(words[:count]) for count in range(1, len(words)))]
        found.update(place[part] for part in parts if part in place)
    return np.array(sorted(found), dtype=np.intp)


def terms_of(vectoriser: Any) -> list[str]:
    """The terms in the order of their columns."""
    return sorted(vectoriser.vocabulary_, key=vectoriser.vocabulary_.__getitem__)


def _vectorisers(transformer: Any) -> Iterator[tuple[str, Any]]:
    for name, step, _ in getattr(transformer, "transformers_", ()):
        if hasattr(step, "vocabulary_") and hasattr(step, "idf_"):
            yield name, step


def _keep_terms(vectoriser: Any, terms: Sequence[str], kept: NDArray[np.intp]) -> None:
    vectoriser.vocabulary_ = {terms[place]: column for column, place in enumerate(kept.tolist())}
    inner = vectoriser._tfidf  # noqa: SLF001 - the vectoriser's setter wants a vocabulary given before fitting
    inner.idf_ = inner.idf_[kept]
    inner.n_features_in_ = len(kept)


def _keep_columns(final: Any, kept: NDArray[np.intp]) -> None:
    for name in _BY_COLUMN:
        if hasattr(final, name):
            setattr(final, name, getattr(final, name)[..., kept])
    final.n_features_in_ = len(kept)
