"""What TensorRT would make of real graphs, and what is said where it can make nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf import text_format
from onnx import TensorProto, helper
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPRegressor

from fairlead.bundle.accelerator import SUPPORTED, accelerator_of, config_pbtxt, trtexec, write_accelerator
from fairlead.bundle.to_onnx import to_onnx
from fairlead.schema import Field, Output, Schema

FIELDS = tuple(Field(name, "number") for name in "abc")
TWO = Schema("s", FIELDS, Output("classification", "y", classes=("0", "1"), positive="1"))
ONE = Schema("s", FIELDS, Output("regression", "y"))
ROWS = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
TARGET = (ROWS[:, 0] > 0).astype(int)


def graph(*nodes: Any, opset: int = 17, rows: Any = None, kind: int = TensorProto.FLOAT) -> bytes:
    made = helper.make_graph(
        list(nodes), "g",
        [helper.make_tensor_value_info("numbers", kind, [rows, 3])],
        [helper.make_tensor_value_info("answers", TensorProto.FLOAT, [rows, 3])],
    )  # fmt: skip
    return bytes(helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)]).SerializeToString())


@pytest.mark.parametrize(
    ("made", "outcome", "why"),
    [
        pytest.param(lambda: to_onnx(RandomForestClassifier(3, random_state=0).fit(ROWS, TARGET), TWO),
                     "needs the CPU provider", "ai.onnx.ml.TreeEnsembleClassifier", id="forest"),
        pytest.param(lambda: to_onnx(LogisticRegression().fit(ROWS, TARGET), TWO),
                     "needs the CPU provider", "ai.onnx.ml.LinearClassifier", id="logistic regression"),
        pytest.param(lambda: to_onnx(MLPRegressor(hidden_layer_sizes=8, max_iter=5, random_state=0).fit(ROWS, ROWS[:, 0]), ONE),
                     "ready", "only standard operators", id="network"),
        pytest.param(lambda: graph(helper.make_node("Einsum", ["numbers"], ["answers"], equation="ij->ij")),
                     "unknown", "Einsum", id="an operator nobody has tried"),
        pytest.param(lambda: graph(helper.make_node("Relu", ["numbers"], ["answers"]), opset=7),
                     "unknown", "opset 7", id="an old opset"),
        pytest.param(lambda: graph(helper.make_node("DynamicQuantizeLinear", ["numbers"], ["answers", "s", "z"])),
                     "needs the CPU provider", "DynamicQuantizeLinear", id="dynamic int8"),
        pytest.param(lambda: graph(helper.make_node("Identity", ["numbers"], ["answers"]), kind=TensorProto.STRING),
                     "needs the CPU provider", "numbers is text", id="text"),
    ],
)  # fmt: skip
def test_outcomes(made: Callable[[], bytes], outcome: str, why: str) -> None:
    found = accelerator_of(made(), "m")
    assert found.outcome == outcome
    assert why in found.reason
    assert bool(found.trtexec) == (outcome == "ready")


def test_rows_that_vary_get_a_profile_of_three_sizes() -> None:
    found = accelerator_of(graph(helper.make_node("Relu", ["numbers"], ["answers"])), "m")
    assert found.shapes == {"numbers": [-1, 3]}
    assert found.trtexec == (
        "trtexec --onnx=model.onnx --saveEngine=model.plan --minShapes=numbers:1x3 --optShapes=numbers:100x3 "
        "--maxShapes=numbers:1000x3"
    )


def test_static_shapes_need_no_profile() -> None:
    found = accelerator_of(graph(helper.make_node("Relu", ["numbers"], ["answers"]), rows=8), "m")
    assert found.shapes == {"numbers": [8, 3]}
    assert found.trtexec == "trtexec --onnx=model.onnx --saveEngine=model.plan"


def test_two_inputs_are_one_option() -> None:
    assert "--minShapes=a:1x2,b:1x3" in trtexec({"b": [-1, 3], "a": [-1, 2]})


def test_operators_in_branches_are_looked_at() -> None:
    inner = helper.make_graph(
        [helper.make_node("Einsum", ["numbers"], ["out"], equation="ij->ij")], "b", [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
    )  # fmt: skip
    condition = helper.make_node(
        "Constant", [], ["yes"], value=helper.make_tensor("t", TensorProto.BOOL, [], [True])
    )
    branch = helper.make_node("If", ["yes"], ["answers"], then_branch=inner, else_branch=inner)
    assert "Einsum" in accelerator_of(graph(condition, branch), "m").unknown


def test_all_operators_of_the_list_exist() -> None:
    assert {name for name in SUPPORTED if not onnx.defs.has(name)} == set()


@pytest.mark.parametrize(("tensorrt", "where"), [(True, "KIND_AUTO"), (False, "KIND_CPU")])
def test_triton_is_told_names_types_and_where_to_run(tensorrt: bool, where: str) -> None:
    service = pytest.importorskip(
        "tritonclient.grpc.model_config_pb2", reason="tritonclient is not installed"
    )
    model = onnx.load_from_string(graph(helper.make_node("Relu", ["numbers"], ["answers"])))
    config = text_format.Parse(config_pbtxt(model, "m", tensorrt=tensorrt), service.ModelConfig())
    assert (config.name, config.backend, config.max_batch_size) == ("m", "onnxruntime", 1000)
    assert [(one.name, list(one.dims)) for one in config.input] == [("numbers", [3])]
    assert [(one.name, list(one.dims)) for one in config.output] == [("answers", [3])]
    assert service.ModelInstanceGroup.Kind.Name(config.instance_group[0].kind) == where
    assert bool(config.optimization.execution_accelerators.gpu_execution_accelerator) == tensorrt


@pytest.mark.parametrize(("kind", "why"), [("forest", "TreeEnsembleClassifier"), ("categorical", "treelite")])
def test_the_attestation_of_a_bundle(
    kind: str, why: str, source_of: Callable[[str], Path], tmp_path: Path
) -> None:
    write_accelerator(tmp_path, source_of(kind))
    record = json.loads((tmp_path / "accelerator.json").read_bytes())
    manifest = json.loads((source_of(kind) / "bundle" / "manifest.json").read_bytes())
    assert record["digest"] == manifest["digest"]
    assert record["outcome"] == "needs the CPU provider"
    assert why in record["reason"]
