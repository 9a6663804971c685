"""ONNX graphs in 8 bits: matrix products only, which is where linear models and networks keep their numbers.

Two ways. *int8* is ONNX Runtime's dynamic quantisation: weights are int8, and every batch is scaled to uint8 by its own
largest and smallest value. So the answer to a row depends on the rows beside it; how much is measured before it may be
served (:func:`fairlead.bundle.compress.trial`). *int8-weights* keeps the arithmetic in float32 and stores the weights as
int8 with a scale a column: a smaller file, the same speed, and every row answered alike in any company.

Tree ensembles, and linear models that were converted to one operator of ``ai.onnx.ml``, have no matrix product: their
numbers are attributes of that operator, which has no 8-bit form.
"""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from fairlead import telemetry
from fairlead.bundle.canonical import canonical_onnx
from fairlead.bundle.compress.variants import NothingToDo, Variant

_PRODUCTS = {"MatMul", "Gemm"}
_TREES = {"TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble"}


def quantisations(graph: bytes) -> Iterator[Variant]:
    """The graph in both ways.

    Raises:
        NothingToDo: It has no product with constant weights.
    """
    model = onnx.load_from_string(graph)
    if not constant_products(model):
        raise NothingToDo(_why_nothing(model))
    yield Variant("int8", "quantise", "weights and activations in 8 bits, scaled by the batch",
                  graph=dynamic_int8(model))  # fmt: skip
    yield Variant(
        "int8-weights", "quantise", "weights in 8 bits, arithmetic in float32", graph=int8_weights(model)
    )


def constant_products(model: Any) -> list[Any]:
    """The nodes that multiply by a constant float matrix."""
    constants = {tensor.name for tensor in model.graph.initializer
                 if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 2}  # fmt: skip
    return [node for node in model.graph.node if node.op_type in _PRODUCTS and node.input[1] in constants]


def _why_nothing(model: Any) -> str:
    found = Counter(node.op_type for node in model.graph.node if node.op_type in _TREES)
    if found:
        return f"nothing to quantise: {', '.join(sorted(found))} compares thresholds, it multiplies nothing"
    return "nothing to quantise: the graph has no MatMul or Gemm with constant weights"


def dynamic_int8(model: Any) -> bytes:
    """ONNX Runtime's dynamic quantisation of the products, as canonical bytes."""
    telemetry.switch_off()
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - it starts the runtime

    with tempfile.TemporaryDirectory(prefix="fairlead-int8-") as scratch:
        file = Path(scratch) / "int8.onnx"
        # Between operators of other domains types are not inferred; products are of floats here.
        assumed = {"DefaultTensorType": onnx.TensorProto.FLOAT}
        disabled = logging.root.manager.disable
        logging.disable(logging.WARNING)  # it recommends a preparation that changes nothing here
        try:
            quantize_dynamic(
                model,
                file,
                op_types_to_quantize=sorted(_PRODUCTS),
                weight_type=QuantType.QInt8,
                extra_options=assumed,
            )
        finally:
            logging.disable(disabled)
        return canonical_onnx(onnx.load(file))


def int8_weights(model: Any) -> bytes:
    """The graph with the constant matrices of its products as int8 and a scale a column, as canonical bytes."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    wanted = {node.input[1] for node in constant_products(changed)}
    kept, added, nodes = [], [], []
    for tensor in graph.initializer:
        if tensor.name not in wanted:
            kept.append(tensor)
            continue
        codes, scales = to_int8(numpy_helper.to_array(tensor))
        names = (f"{tensor.name}_codes", f"{tensor.name}_scales")
        added += [numpy_helper.from_array(codes, names[0]), numpy_helper.from_array(scales, names[1])]
        nodes.append(helper.make_node("DequantizeLinear", list(names), [tensor.name], axis=1))
    rest = list(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend([*kept, *added])
    graph.node.extend([*nodes, *rest])
    _at_least_opset(changed, 13)  # where DequantizeLinear learnt of axes
    return canonical_onnx(changed)


def to_int8(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes from -127 to 127 and a scale a column, symmetric, so that 0 stays 0.

    No scale is below the smallest normal float32 (1.2e-38): weights so small that theirs would be become 0.

    >>> codes, scales = to_int8(np.array([[1.27, 0.0], [-0.5, 0.0]], dtype=np.float32))
    >>> codes.tolist(), scales.round(4).tolist()
    ([[127, 0], [-50, 0]], [0.009999999776482582, 1.0])
    """
    largest = np.abs(weights).max(axis=0, initial=0.0)
    least = np.finfo(np.float32).smallest_normal
    scales = np.where(largest > 0, np.maximum(largest / 127, least), 1.0).astype(np.float32)
    return np.rint(weights / scales).astype(np.int8), scales


def _at_least_opset(model: Any, version: int) -> None:
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx") and opset.version < version:
            raise NothingToDo(f"the graph is of opset {opset.version}; int8 weights need {version}")
