"""A small model trained on the answers of a large one (Hinton, Vinyals and Dean 2015, arXiv:1503.02531).

The student sees probabilities, not labels: a row that the teacher gives 0.7 teaches more than a row that was positive.
Any scikit-learn classifier can learn them: each row stands there once a class, with the probability as its weight, so
that the log loss it minimises is the cross entropy to the teacher.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from fairlead.bundle.compress.prune import tree_models, weights_of
from fairlead.bundle.compress.variants import NothingToDo, Variant
from fairlead.bundle.compress.vocabulary import has_terms, with_fewer_terms
from fairlead.bundle.formats import steps_of
from fairlead.schema.answers import answers_of

_SEED = 0


@dataclass(frozen=True, slots=True)
class Size:
    """A boosting's size: rounds and leaves a tree."""

    rounds: int
    leaves: int


SIZES = (Size(60, 16), Size(30, 8))
TERMS = 0.25
"""Share of the terms that a student of a text model learns with."""
_LEAST = 1e-6
"""Rows of a class with less weight than this teach nothing that could be measured."""


def students(estimator: Any, task: str, rows: NDArray[Any]) -> Iterator[Variant]:
    """Smaller models of the same task, fitted to the estimator's answers to *rows*, the larger one first.

    Args:
        estimator: The teacher, a fitted pipeline.
        task: classification, regression or forecast.
        rows: (rows, columns) encoded training rows.

    Raises:
        NothingToDo: Nothing smaller than the teacher would learn from it.
    """
    _, final = steps_of(estimator)
    if task == "clustering":
        raise NothingToDo("a clustering is as small as its centres")
    if hasattr(final, "_predictors") or tree_models(final):
        yield from _boosted(estimator, final, task, rows)
    elif task == "classification" and has_terms(estimator):
        yield _of_fewer_terms(estimator, rows)
    else:
        raise NothingToDo(f"nothing is smaller than {type(final).__name__} over the same columns")


def _boosted(estimator: Any, final: Any, task: str, rows: NDArray[Any]) -> Iterator[Variant]:
    answers = answers_of(estimator, task, rows)
    before = _copied_before(estimator)
    seen = before.transform(rows) if before is not None else rows
    for size in SIZES:
        student = taught(_small_boosting(final, task, size), seen, answers, task, final)
        steps = [] if before is None else [("features", before)]
        yield Variant(
            f"student-{size.rounds}x{size.leaves}",
            "distil",
            f"boosting of {size.rounds} rounds, {size.leaves} leaves a tree, on {len(rows):,} answers",
            Pipeline([*steps, ("model", student)]),
        )


def _small_boosting(final: Any, task: str, size: Size) -> Any:
    """Histogram boosting, with the teacher's own settings if it is one."""
    kind = HistGradientBoostingClassifier if task == "classification" else HistGradientBoostingRegressor
    student = clone(final) if isinstance(final, kind) else kind(early_stopping=False)
    faster = max(0.1, float(student.learning_rate))  # few rounds must go further each
    return student.set_params(
        max_iter=size.rounds, max_leaf_nodes=size.leaves, learning_rate=faster, random_state=_SEED
    )


def _of_fewer_terms(estimator: Any, rows: NDArray[Any]) -> Variant:
    _, final = steps_of(estimator)
    small, kept, before = with_fewer_terms(estimator, TERMS, weights_of(final))
    [features], _ = steps_of(small)
    answers = answers_of(estimator, "classification", rows)
    learner = LogisticRegression(C=_WEAK_PENALTY, max_iter=1000, random_state=_SEED)
    student = taught(learner, features.transform(rows), answers, "classification", final)
    return Variant(
        f"student-terms-{TERMS:.0%}",
        "distil",
        f"logistic regression over {kept:,} of {before:,} terms, on {len(rows):,} answers",
        Pipeline([("features", features), ("model", student)]),
    )


_WEAK_PENALTY = 100.0
"""Inverse strength of the penalty: probabilities have no noise to be guarded against."""


def taught(learner: Any, seen: Any, answers: NDArray[np.float64], task: str, teacher: Any) -> Any:
    """*learner* fitted to a teacher's answers.

    Args:
        learner: An unfitted estimator; classifiers must take sample weights.
        seen: (rows, columns) as the learner sees them.
        answers: (rows, k) the teacher's.
        task: classification, regression or forecast.
        teacher: Gives the classes, in the order of the answers' columns.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it could have gone on: the table says how good it is
        if task != "classification":
            return learner.fit(seen, answers[:, 0])
        row, column = np.nonzero(answers > _LEAST)
        return learner.fit(
            seen[row], np.asarray(teacher.classes_)[column], sample_weight=answers[row, column]
        )


def _copied_before(estimator: Any) -> Any | None:
    """The teacher's preparation of columns, fitted as it is; None if it reads the encoded rows themselves."""
    before, _ = steps_of(estimator)
    steps = [(f"step_{position}", copy.deepcopy(step)) for position, step in enumerate(before)]
    return Pipeline(steps) if steps else None
