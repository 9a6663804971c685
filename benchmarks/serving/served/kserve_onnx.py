"""A custom model of KServe's SDK, as its documentation writes one.

python kserve_onnx.py --http_port PORT --enable_grpc false --workers 1
"""

import argparse
import os
from pathlib import Path

import onnxruntime
from kserve import InferInput, InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server


class OnnxModel(Model):
    def __init__(self) -> None:
        super().__init__("benchmark")
        self.load()

    def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        file = Path(os.environ["BENCHMARK_MODEL"]) / "model.onnx"
        self.session = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])
        self.ready = True
        return True

    async def predict(self, payload: InferRequest, headers=None, response_headers=None) -> InferResponse:  # noqa: ARG002 - the SDK's signature
        tensor: InferInput = payload.inputs[0]
        answers = self.session.run(["answers"], {"numbers": tensor.as_numpy()})[0]
        output = InferOutput("answers", list(answers.shape), "FP32")
        output.set_data_from_numpy(answers, binary_data=False)
        return InferResponse(payload.id, "benchmark", [output])


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(parents=[model_server.parser]).parse_args()
    ModelServer().start([OnnxModel()])
