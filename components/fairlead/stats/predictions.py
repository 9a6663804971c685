"""What callers are told, and how it is distributed: the reference that live predictions are compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairlead.schema.fields import Output
from fairlead.stats.metrics import called_codes
from fairlead.stats.profile import Profile


def called(output: Output, answers: NDArray[np.float64]) -> NDArray[np.generic]:
    """What a caller is told of each row: a class, a number, or a cluster.

    >>> two = Output("classification", classes=("no", "yes"), positive="yes", threshold=0.3)
    >>> called(two, np.array([[0.6, 0.4], [0.8, 0.2]])).tolist()
    ['yes', 'no']
    """
    if output.task == "classification":
        return np.array(output.classes, dtype=object)[called_codes(output, answers)]
    return answers.argmax(axis=1) if output.task == "clustering" else answers[:, 0]


def profile_of_answers(output: Output, answers: NDArray[np.float64]) -> Profile:
    """The distribution of what was called, and for two classes of the probability behind it."""
    told = called(output, answers)
    if output.task in ("regression", "forecast"):
        return Profile.of({"prediction": ("number", told)})
    columns = {"prediction": ("category", told.astype(str).astype(object))}
    if output.positive:
        columns["probability"] = ("number", answers[:, output.classes.index(output.positive)])
    return Profile.of(columns)
