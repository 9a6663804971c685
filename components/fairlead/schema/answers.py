"""What a model's answer looks like, by task: one float64 matrix with a row a request row.

======================  ==============================================================
classification          probabilities, one column a class, in the order of ``Output.classes``
regression, forecast    one column, the predicted value
clustering              one column a cluster, larger is closer; the label is the largest
======================  ==============================================================

Every format (scikit-learn, ONNX, treelite, skops) answers in this shape, so that they can be compared and swapped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


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
        answer = np.reshape(estimator.predict(array), (len(array), 1))
    return np.asarray(answer, dtype=np.float64)
