"""The models that all servers answer for, and the requests they are sent.

Both are fitted once on seeded rows: a forest of 100 trees and a logistic regression over 30 numbers, two classes. Every
server runs the same ONNX file with one arithmetic thread, so that what differs is the server.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.adapters.bentos import BentomlBuilder
from fairlead.bundle.layout import Contents, requirements_of, write_source
from fairlead.schema import Field, Output, Schema
from fairlead.serve.rules import LogRules, Rules
from fairlead.serve.v2.proto import open_inference_pb2 as protocol
from fairlead.stats.predictions import profile_of_answers

FIELDS = [f"f{number:02d}" for number in range(30)]
SCHEMA = Schema(
    "benchmark",
    tuple(Field(name, "number", minimum=-100.0, maximum=100.0) for name in FIELDS),
    Output("classification", target="target", classes=("no", "yes"), positive="yes", threshold=0.5),
)
ROWS = (1, 100)


@dataclass(frozen=True)
class Model:
    """A model and all that is needed to serve and to ask it."""

    name: str
    folder: Path
    version: str
    expected: NDArray[np.float64]
    """Probabilities of the rows that are asked, from the model itself."""

    @property
    def onnx(self) -> Path:
        return self.folder / "model.onnx"

    @property
    def bundle(self) -> Path:
        """The folder that ``python -m fairlead.serve`` takes."""
        return self.folder / "source" / "bundle"

    @property
    def bento(self) -> Path:
        return self.folder / "bento"

    def body(self, kind: str, rows: int) -> Path:
        """The file with a request of this many rows."""
        return self.folder / "bodies" / f"{kind}-{rows}"


def fit(name: str, numbers: NDArray[np.float32], target: NDArray[Any]) -> Any:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if name == "forest":
        return RandomForestClassifier(100, max_depth=8, random_state=0).fit(numbers, target)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(numbers, target)


def to_onnx(estimator: Any) -> bytes:
    """The graph with one input ``numbers`` and one output ``answers``."""
    import onnx
    from skl2onnx import to_onnx as convert
    from skl2onnx.common.data_types import FloatTensorType

    inputs = [("numbers", FloatTensorType([None, len(FIELDS)]))]
    graph = convert(estimator, initial_types=inputs, options={"zipmap": False})
    source = graph.graph.output[-1].name
    del graph.graph.output[:]
    graph.graph.node.append(onnx.helper.make_node("Identity", [source], ["answers"]))
    kind = onnx.TensorProto.FLOAT
    graph.graph.output.append(onnx.helper.make_tensor_value_info("answers", kind, [None, 2]))
    return bytes(graph.SerializeToString())


def build(name: str, folder: Path) -> Model:
    """Fit, export, bundle, and write the requests."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(3000, len(FIELDS))).astype(np.float32)
    target = np.where(numbers[:, :5].sum(axis=1) + rng.normal(size=3000) > 0, "yes", "no")
    estimator = fit(name, numbers, target)
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(to_onnx(estimator))
    answers = estimator.predict_proba(numbers)
    manifest = bundle(folder, answers)
    asked = rng.normal(size=(max(ROWS), len(FIELDS))).astype(np.float32)
    write_bodies(folder / "bodies", asked)
    return Model(name, folder, manifest["digest"][:16], estimator.predict_proba(asked))


def bundle(folder: Path, answers: NDArray[np.float64]) -> dict[str, Any]:
    """A bundle and its Bento, as the bundle stage writes them. All inputs are kept in the log: the dearest rule."""
    candidate = folder / "candidate"
    candidate.mkdir()
    (candidate / "schema.json").write_text(SCHEMA.to_json())
    predictions = json.loads(profile_of_answers(SCHEMA.output, answers).to_json())
    (candidate / "profile.json").write_text(json.dumps({"features": {}, "predictions": predictions}))
    rules = Rules(log=LogRules(inputs=dict.fromkeys(FIELDS, "keep")))
    contents = Contents(
        SCHEMA.name,
        "onnx",
        folder / "model.onnx",
        candidate,
        (),
        "0" * 64,
        requirements_of("onnx"),
        asdict(rules),
    )
    manifest = write_source(contents, folder / "source")
    BentomlBuilder().build(SCHEMA.name, manifest["digest"][:16], folder / "source", folder / "bento")
    return manifest


def write_bodies(folder: Path, asked: NDArray[np.float32]) -> None:
    """The same rows in the form each server takes."""
    folder.mkdir()
    for rows in ROWS:
        part = asked[:rows]
        table = part.astype(float).tolist()
        tensor = {
            "name": "numbers",
            "shape": list(part.shape),
            "datatype": "FP32",
            "data": part.ravel().tolist(),
        }
        bodies: dict[str, Any] = {
            "named": {"rows": [dict(zip(FIELDS, row, strict=True)) for row in table]},
            "tensor": {"id": "1", "inputs": [tensor]},  # the SDK of KServe refuses to answer without an id
            "matrix": {"rows": table},
            "split": {"dataframe_split": {"columns": FIELDS, "data": table}},
        }
        for kind, body in bodies.items():
            (folder / f"{kind}-{rows}").write_text(json.dumps(body, separators=(",", ":")))
        (folder / f"grpc-fields-{rows}").write_bytes(
            grpc_request(FIELDS, part.T.astype("<f8"), "FP64", (rows,))
        )
        (folder / f"grpc-tensor-{rows}").write_bytes(grpc_request(["numbers"], [part], "FP32", part.shape))


def grpc_request(names: Sequence[str], tensors: Any, datatype: str, shape: Sequence[int]) -> bytes:
    """A serialised ``ModelInferRequest`` with raw contents."""
    request = protocol.ModelInferRequest(model_name=SCHEMA.name)
    for name, tensor in zip(names, tensors, strict=True):
        request.inputs.add(name=name, datatype=datatype, shape=shape)
        request.raw_input_contents.append(np.ascontiguousarray(tensor).tobytes())
    return bytes(request.SerializeToString())
