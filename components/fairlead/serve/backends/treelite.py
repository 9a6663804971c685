"""treelite's own interpreter (GTIL) for tree ensembles whose thresholds do not survive ONNX. One thread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import IntegrityError
from fairlead.schema import Batch, Schema
from fairlead.serve.backends import Predict


def open_model(file: Path, schema: Schema, _trusted: Sequence[str], _code: Path | None) -> Predict:
    """A serialised treelite model over the encoded numbers."""
    import treelite  # noqa: PLC0415

    model = treelite.Model.deserialize(file)
    if schema.texts or model.num_feature != len(schema.columns):
        raise IntegrityError(
            f"{file}: the trees read {model.num_feature} numbers, the schema gives {len(schema.columns)}"
        )
    gtil = treelite.gtil.predict
    completes_two_classes = schema.output.task == "classification" and len(schema.output.classes) == 2

    def predict(batch: Batch) -> NDArray[np.float64]:
        raw = gtil(model, batch.numbers, nthread=1)  # (rows, targets, classes)
        answers: NDArray[np.float64] = raw.reshape(len(batch), -1).astype(np.float64)
        if completes_two_classes and answers.shape[1] == 1:
            # Boosted trees give the probability of the second class only.
            return np.hstack([1.0 - answers, answers])
        return answers

    return predict
