"""Whether TensorRT can run a bundle's graph, and what ``trtexec`` and Triton need to be told if so.

TensorRT builds plans from operators of the standard domain (``ai.onnx``). Tree ensembles, and what scikit-learn's scalers
and linear models convert to, are operators of ``ai.onnx.ml``: no version of TensorRT has them, so such graphs run on ONNX
Runtime's CPU provider, whatever providers a machine has. Strings never reach an accelerator.

Sources: https://docs.nvidia.com/deeplearning/tensorrt/latest/getting-started/support-matrix.html (operators, types),
https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_configuration.html.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import onnx

from fairlead.bundle.canonical import subgraphs

FILE = "accelerator.json"

Outcome = Literal["ready", "needs the CPU provider", "unknown"]

STANDARD = ("", "ai.onnx")
OPSETS = range(9, 25)
"""Operator sets that TensorRT 10's parser reads."""
ROWS = (1, 100, 1000)
"""Smallest, usual and largest batch of the optimisation profile."""

SUPPORTED = frozenset({
    "Abs", "Add", "And", "ArgMax", "ArgMin", "Cast", "Ceil", "Clip", "Concat", "Constant", "ConstantOfShape",
    "DequantizeLinear", "Div", "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather", "GatherElements", "Gemm",
    "Greater", "GreaterOrEqual", "Identity", "IsNaN", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "MatMul",
    "Max", "Mean", "Min", "Mul", "Neg", "Not", "OneHot", "Or", "Pow", "QuantizeLinear", "Reciprocal", "ReduceL1",
    "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
    "Relu", "Reshape", "Shape", "Sigmoid", "Sign", "Slice", "Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub",
    "Sum", "Tanh", "Tile", "TopK", "Transpose", "Unsqueeze", "Where",
})  # fmt: skip
"""Standard operators that TensorRT's parser is known to take and that tabular models use. Others may work: unknown."""

REFUSED = frozenset({"DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "QLinearMatMul", "StringNormalizer",
                     "TfIdfVectorizer", "StringConcat", "StringSplit", "RegexFullMatch"})  # fmt: skip
"""Standard operators that it is known not to take."""

_TRITON_TYPES = {
    onnx.TensorProto.FLOAT: "TYPE_FP32",
    onnx.TensorProto.DOUBLE: "TYPE_FP64",
    onnx.TensorProto.INT64: "TYPE_INT64",
    onnx.TensorProto.STRING: "TYPE_STRING",
}


@dataclass(frozen=True, slots=True)
class Accelerator:
    """What is known about a graph and TensorRT."""

    outcome: Outcome
    reason: str
    opset: int
    """Of the standard domain; 0 if the model is no graph."""
    domains: dict[str, int]
    """Nodes by domain of their operator; the standard one is ``ai.onnx``."""
    not_standard: list[str]
    """Operators of other domains, as ``domain.Operator``."""
    unknown: list[str]
    """Standard operators of which it is not known whether TensorRT has them."""
    shapes: dict[str, list[int]]
    """Input to its shape; -1 is a number of rows that the request decides."""
    trtexec: str
    """The command that builds a plan; empty unless ready."""
    triton: str
    """A ``config.pbtxt`` for the graph."""


def accelerator_of(graph: bytes, name: str) -> Accelerator:
    """What TensorRT and Triton would make of a graph.

    Args:
        graph: ONNX.
        name: Of the model, for Triton.
    """
    model = onnx.load_from_string(graph)
    used = Counter(
        (node.domain if node.domain not in STANDARD else "ai.onnx", node.op_type)
        for node in _nodes(model.graph)
    )
    foreign = sorted(f"{domain}.{kind}" for domain, kind in used if domain != "ai.onnx")
    standard = {kind for domain, kind in used if domain == "ai.onnx"}
    opset = max((one.version for one in model.opset_import if one.domain in STANDARD), default=0)
    shapes = {value.name: _shape(value) for value in model.graph.input}
    unknown = sorted(standard - SUPPORTED - REFUSED)
    outcome, reason = _outcome(model, foreign, sorted(standard & REFUSED), unknown, opset)
    domains: Counter[str] = Counter()
    for (domain, _), count in used.items():
        domains[domain] += count
    return Accelerator(
        outcome=outcome,
        reason=reason,
        opset=opset,
        domains=dict(sorted(domains.items())),
        not_standard=foreign,
        unknown=unknown,
        shapes=shapes,
        trtexec=trtexec(shapes) if outcome == "ready" else "",
        triton=config_pbtxt(model, name, tensorrt=outcome == "ready"),
    )


def _nodes(graph: Any) -> Any:
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from _nodes(inner)


def _outcome(
    model: Any, foreign: list[str], refused: list[str], unknown: list[str], opset: int
) -> tuple[Outcome, str]:
    texts = [value.name for value in model.graph.input if _type(value) == onnx.TensorProto.STRING]
    if texts:
        return "needs the CPU provider", f"{', '.join(texts)} is text, and TensorRT has no strings"
    if foreign:
        return "needs the CPU provider", f"TensorRT has no {', '.join(foreign)}"
    if refused:
        return "needs the CPU provider", f"TensorRT has no {', '.join(refused)}"
    if opset not in OPSETS:
        return (
            "unknown",
            f"opset {opset} is not one of {OPSETS.start} to {OPSETS.stop - 1}, which TensorRT 10 reads",
        )
    if unknown:
        return "unknown", f"whether TensorRT has {', '.join(unknown)} is not known here; trtexec will tell"
    return "ready", "only standard operators that TensorRT has, numbers only, one dimension that varies"


def _type(value: Any) -> int:
    return int(value.type.tensor_type.elem_type)


def _shape(value: Any) -> list[int]:
    return [int(dim.dim_value) if dim.dim_value > 0 else -1 for dim in value.type.tensor_type.shape.dim]


def trtexec(shapes: dict[str, list[int]], rows: tuple[int, int, int] = ROWS) -> str:
    """The command that builds a plan; a profile of shapes only where something varies.

    >>> trtexec({"numbers": [-1, 30]}, (1, 100, 1000))  # doctest: +NORMALIZE_WHITESPACE
    'trtexec --onnx=model.onnx --saveEngine=model.plan --minShapes=numbers:1x30 --optShapes=numbers:100x30
     --maxShapes=numbers:1000x30'
    >>> trtexec({"numbers": [1, 30]})
    'trtexec --onnx=model.onnx --saveEngine=model.plan'
    """
    command = "trtexec --onnx=model.onnx --saveEngine=model.plan"
    if all(size > 0 for shape in shapes.values() for size in shape):
        return command
    for option, count in zip(("minShapes", "optShapes", "maxShapes"), rows, strict=True):
        sizes = (f"{name}:{'x'.join(str(size if size > 0 else count) for size in shape)}"
                 for name, shape in sorted(shapes.items()))  # fmt: skip
        command += f" --{option}={','.join(sizes)}"
    return command


def config_pbtxt(model: Any, name: str, *, tensorrt: bool) -> str:
    """Triton's configuration: the graph by ONNX Runtime, on a GPU by TensorRT where that is possible.

    The first dimension is the batch, which Triton leaves out of ``dims`` and may fill from several requests.
    """
    graph = model.graph
    parts = [f'name: "{name}"', 'backend: "onnxruntime"', f"max_batch_size: {ROWS[-1]}"]
    parts += [_tensor("input", value, _shape(value)[1:]) for value in graph.input]
    parts += [_tensor("output", value, _shape(value)[1:] or [-1]) for value in graph.output]
    parts.append("dynamic_batching { }")
    if tensorrt:
        parts.append("instance_group [ { kind: KIND_AUTO } ]")
        parts.append(
            'optimization { execution_accelerators { gpu_execution_accelerator : [ { name : "tensorrt" } ] } }'
        )
    else:
        parts.append("instance_group [ { kind: KIND_CPU } ]")
    return "\n".join(parts) + "\n"


def _tensor(kind: str, value: Any, dims: list[int]) -> str:
    sizes = ", ".join(map(str, dims))
    type_name = _TRITON_TYPES.get(_type(value), "TYPE_INVALID")
    return f'{kind} [ {{ name: "{value.name}", data_type: {type_name}, dims: [ {sizes} ] }} ]'


def write_accelerator(folder: Path, source: Path) -> None:
    """Write what is known about a bundle's model to its attestations.

    Args:
        folder: The attestations.
        source: Source folder of the Bento, with ``bundle/manifest.json``.
    """
    manifest = json.loads((source / "bundle" / "manifest.json").read_bytes())
    file = source / "bundle" / manifest["model"]
    found = (
        accelerator_of(file.read_bytes(), manifest["name"])
        if manifest["format"] == "onnx"
        else no_graph(manifest["format"])
    )
    record = {"digest": manifest["digest"], **asdict(found)}
    text = json.dumps(record, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    (folder / FILE).write_text(text, encoding="utf-8")


def no_graph(format_name: str) -> Accelerator:
    """What holds for a model that is no ONNX graph.

    >>> no_graph("treelite").outcome
    'needs the CPU provider'
    """
    reason = f"the model is served as {format_name}, which runs on the CPU only"
    return Accelerator("needs the CPU provider", reason, 0, {}, [], [], {}, "", "")
