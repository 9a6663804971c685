"""Probabilities to the class that is called."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.schema import Output
from fairlead.schema.answers import labels_of

TWO = Output("classification", classes=("no", "yes"), positive="yes", threshold=0.3)
CALLED = {
    "above the threshold": (TWO, [0.6, 0.4], "yes"),
    "on the threshold": (TWO, [0.7, 0.3], "yes"),
    "below the threshold": (TWO, [0.71, 0.29], "no"),
    "the positive class comes first": (
        Output("classification", classes=("bad", "good"), positive="bad", threshold=0.9), [0.8, 0.2], "good"),
    "the most probable of three": (Output("classification", classes=("a", "b", "c")), [0.3, 0.3, 0.4], "c"),
    "the first of equals": (Output("classification", classes=("a", "b", "c")), [0.4, 0.2, 0.4], "a"),
}  # fmt: skip


@pytest.mark.parametrize(("output", "answers", "label"), CALLED.values(), ids=CALLED)
def test_a_class_is_called(output: Output, answers: list[float], label: str) -> None:
    assert labels_of(output, np.array([answers])) == [label]
