"""A model for MLflow's scoring server: a Python function around ONNX Runtime, with a signature.

python mlflow_onnx.py MODEL_FOLDER OUT
"""

import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature


class OnnxModel(mlflow.pyfunc.PythonModel):
    def load_context(self, context) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        file = context.artifacts["model"]
        self.session = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])

    def predict(self, context, model_input, params=None):  # noqa: ARG002 - MLflow's signature
        return self.session.run(["answers"], {"numbers": model_input.to_numpy(np.float32)})[0]


if __name__ == "__main__":
    folder, out = sys.argv[1:]
    rows = pd.DataFrame(np.zeros((1, 30)), columns=[f"f{number:02d}" for number in range(30)])
    mlflow.pyfunc.save_model(
        out,
        python_model=OnnxModel(),
        artifacts={"model": str(Path(folder) / "model.onnx")},
        signature=infer_signature(rows, np.zeros((1, 2), np.float32)),
        pip_requirements=[],
    )
