"""What a model's answer looks like, by task: one float64 matrix with a row a request row.

======================  ==============================================================
classification          probabilities, one column a class, in the order of ``Output.classes``
regression, forecast    one column, the predicted value
clustering              one column a cluster, larger is closer; the label is the largest
======================  ==============================================================

Every format (scikit-learn, ONNX, treelite, skops) answers in this shape, so that they can be compared and
swapped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.schema.fields import Output


def answers_of(estimator: Any, task: str, array: NDArray[Any]) -> NDArray[np.float64]:
    """Ask a fitted scikit-learn estimator.

    Args:
        estimator: A fitted estimator or pipeline.
        task: classification, regression, forecast or clustering.
        array: Encoded rows, from :meth:`fairlead.schema.Batch.as_array`.

    Returns:
        float64, shape (rows, classes), (rows, 1) or (rows, clusters).
    """
    if task == "classification" or (task == "clustering" and hasattr(estimator, "predict_proba")):
        answer = estimator.predict_proba(array)
    elif task == "clustering":
        answer = -estimator.transform(array)
    else:
        answer = np.reshape(estimator.predict(array), (-1, 1))  # the array may be sparse, which has no length
    return np.asarray(answer, dtype=np.float64)


def labels_of(output: Output, answers: NDArray[np.float64]) -> list[str]:
    """The class that is called for each row of probabilities.

    With two classes the positive one is called at ``output.threshold`` or above; with more, the most
    probable.

    >>> output = Output("classification", classes=("no", "yes"), positive="yes", threshold=0.3)
    >>> labels_of(output, np.array([[0.7, 0.3], [0.8, 0.2]]))
    ['yes', 'no']
    """
    if len(output.classes) == 2:
        positive = output.classes.index(output.positive)
        called = np.where(answers[:, positive] >= output.threshold, positive, 1 - positive)
    else:
        called = answers.argmax(axis=1)
    return [output.classes[position] for position in called.tolist()]
