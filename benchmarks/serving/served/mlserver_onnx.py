"""A custom runtime of MLServer, as its documentation writes one: the V2 tensor to ONNX Runtime and back."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):
    async def load(self) -> bool:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            self.settings.parameters.uri, options, ["CPUExecutionProvider"]
        )
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        numbers = NumpyCodec.decode_input(payload.inputs[0])
        answers = self.session.run(["answers"], {"numbers": numbers})[0]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("answers", answers)])
