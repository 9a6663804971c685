"""ONNX Runtime: one session, one thread. Some 7 µs a row for a forest of 100 trees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead import telemetry
from fairlead.errors import IntegrityError
from fairlead.schema import Batch, Schema
from fairlead.serve.backends import Predict

OUTPUT = "answers"


def open_model(file: Path, schema: Schema, _trusted: Sequence[str], _code: Path | None) -> Predict:
    """A graph from ``numbers`` (float, [None, p]) and ``text_i`` (string, [None, 1]) to ``answers``."""
    telemetry.switch_off()
    import onnxruntime  # noqa: PLC0415

    session = onnxruntime.InferenceSession(file, _options(onnxruntime), providers=["CPUExecutionProvider"])
    expected = _input_names(schema)
    found = sorted(node.name for node in session.get_inputs())
    if found != sorted(expected) or OUTPUT not in [node.name for node in session.get_outputs()]:
        raise IntegrityError(
            f"{file}: the graph has inputs {found}, the schema needs {sorted(expected)} → {OUTPUT}"
        )
    run, outputs, has_numbers = session.run, [OUTPUT], "numbers" in expected
    texts = [name for name in expected if name != "numbers"]

    def predict(batch: Batch) -> NDArray[np.float64]:
        feeds: dict[str, Any] = {"numbers": batch.numbers} if has_numbers else {}
        for name, text in zip(texts, batch.texts, strict=True):
            feeds[name] = text[:, None]
        answers: NDArray[np.float64] = run(outputs, feeds)[0].astype(np.float64)
        return answers

    return predict


def _input_names(schema: Schema) -> list[str]:
    return ["numbers"] * bool(schema.columns) + [f"text_{position}" for position in range(len(schema.texts))]


def _options(onnxruntime: Any) -> Any:
    options = onnxruntime.SessionOptions()
    # A row takes microseconds: handing it to other threads, or letting them spin, costs more than it gives.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    return options
