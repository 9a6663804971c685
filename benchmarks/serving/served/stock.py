"""The stock way to serve a model with BentoML: an asynchronous ``@bentoml.api`` of arrays, all settings at their defaults."""

import os
from pathlib import Path

import bentoml
import numpy as np
import onnxruntime


@bentoml.service
class Stock:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        file = Path(os.environ["BENCHMARK_MODEL"]) / "model.onnx"
        self.session = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])

    @bentoml.api
    async def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.session.run(["answers"], {"numbers": rows.astype(np.float32)})[0]
