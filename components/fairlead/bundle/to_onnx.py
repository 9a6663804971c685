r"""Fitted scikit-learn pipelines to ONNX: the fastest format, and the one whose conversions go wrong in silence.

The graph has at most one matrix input, ``numbers``, and one input a text field, ``text_0``, ``text_1`` …; its one output,
``answers``, has a column a class, one value, or a column a cluster, as ``fairlead.schema.answers`` defines. A conversion
that succeeds proves nothing: :mod:`fairlead.bundle.parity` decides.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, helper
from skl2onnx import to_onnx as convert
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.base import is_classifier

from fairlead.bundle.canonical import canonical_onnx, subgraphs
from fairlead.bundle.formats import NotSupportedError
from fairlead.bundle.to_treelite import first_line
from fairlead.schema import Schema

WORD = r"[\p{L}\p{N}_][\p{L}\p{N}_]+"
r"""What scikit-learn's ``\w\w+`` means, written for RE2, where ``\w`` is ASCII. The converter's own default takes words
apart at every accent and keeps single letters."""

_SKLEARN_WORD = r"(?u)\b\w\w+\b"


def to_onnx(estimator: Any, schema: Schema) -> bytes:
    """The fitted pipeline as canonical ONNX bytes.

    Raises:
        NotSupportedError: A step has no converter, or one whose graph is known to mean something else.
    """
    for step in every_step(estimator):
        _refuse_known_traps(step)
    model = _converted(with_float32_thresholds(estimator), schema)
    _keep_answers(model, schema.output.task)
    onnx.checker.check_model(model)
    return canonical_onnx(model)


def every_step(estimator: Any) -> Iterator[Any]:
    """The estimator and all estimators inside its pipelines, unions and column transformers."""
    yield estimator
    pairs = getattr(estimator, "steps", None) or getattr(estimator, "transformer_list", None)
    inner = [step for _, step in pairs or ()] + [
        step for _, step, _ in getattr(estimator, "transformers_", ())
    ]
    for step in inner:
        yield from every_step(step)


def _refuse_known_traps(step: Any) -> None:
    """Conversions that succeed and are wrong on rows a parity check may not hold."""
    if getattr(step, "analyzer", None) is None or not hasattr(step, "ngram_range"):
        return
    name = type(step).__name__
    if step.lowercase:
        raise NotSupportedError(
            f"{name}(lowercase=True) needs the server's locale; the schema's `case` folds it before"
        )
    if step.stop_words is not None:
        raise NotSupportedError(f"{name}(stop_words=…): ONNX drops whole texts that equal a stop word")
    if step.analyzer != "word" or step.token_pattern != _SKLEARN_WORD:
        raise NotSupportedError(f"{name}: only words by scikit-learn's default pattern are the same in ONNX")


def with_float32_thresholds(estimator: Any) -> Any:
    """The same model with every threshold of histogram boosting as a float32; other models as they are.

    The thresholds are float64, and ONNX rounds them to the nearest float32, which may lie on the other side of a value. For
    a float32 value ``x``, ``x <= t`` is the same as ``x <= s`` with ``s`` the largest float32 that is not above ``t``.
    """
    if not any(hasattr(step, "_predictors") for step in every_step(estimator)):
        return estimator
    changed = copy.deepcopy(estimator)
    for step in every_step(changed):
        for predictor in (one for stage in getattr(step, "_predictors", ()) for one in stage):
            predictor.nodes["num_threshold"] = float32_below(predictor.nodes["num_threshold"])
    return changed


def float32_below(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """For each value the largest float32 that is not above it.

    >>> float32_below(np.array([0.1, 0.5, np.inf])).tolist()
    [0.09999999403953552, 0.5, inf]
    """
    nearest = values.astype(np.float32)
    return np.where(nearest > values, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def _converted(estimator: Any, schema: Schema) -> ModelProto:
    inputs = _inputs(schema)
    if not inputs:
        raise NotSupportedError("the schema has no inputs")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # conversions warn about what parity then measures
            return convert(estimator, initial_types=inputs, options=_options(estimator))
    except Exception as cause:  # skl2onnx raises whatever its converters meet
        raise NotSupportedError(f"skl2onnx: {first_line(cause)}") from cause


def _inputs(schema: Schema) -> list[tuple[str, Any]]:
    width = len(schema.columns)
    numbers = [("numbers", FloatTensorType([None, width]))] if width else []
    return numbers + [
        (f"text_{position}", StringTensorType([None, 1])) for position in range(len(schema.texts))
    ]


def _options(estimator: Any) -> dict[int, dict[str, Any]]:
    """No ZipMap (a list of dictionaries a row) after classifiers; words as scikit-learn finds them."""
    options: dict[int, dict[str, Any]] = {}
    for step in every_step(estimator):
        if hasattr(step, "ngram_range"):
            options[id(step)] = {"tokenexp": WORD}
        elif _ends_in_zipmap(step):
            options[id(step)] = {"zipmap": False}
    return options


def _ends_in_zipmap(step: Any) -> bool:
    return is_estimator(step) and is_classifier(step) and not hasattr(step, "steps")


def is_estimator(step: Any) -> bool:
    """Whether a step is an estimator, not a word such as ``passthrough``."""
    return hasattr(step, "get_params")


# ------------------------------------------------------------------------------------------- one output


def _keep_answers(model: ModelProto, task: str) -> None:
    """Make ``answers`` the only output, and drop the nodes that only the others needed."""
    graph = model.graph
    # Classifiers and clusterings give the label first, then the scores; regressors one output.
    source = graph.output[-1]
    if task == "clustering" and source.name == "scores":
        graph.node.append(helper.make_node("Neg", [source.name], ["answers"]))  # distance to closeness
    else:
        graph.node.append(helper.make_node("Identity", [source.name], ["answers"]))
    answers = helper.make_tensor_value_info("answers", onnx.TensorProto.FLOAT, [None, None])
    del graph.output[:]
    graph.output.append(answers)
    _prune(graph)


def _prune(graph: Any) -> None:
    """Remove nodes and initializers that no output depends on."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed.update(_read_by(node))
    del graph.node[:]
    graph.node.extend(reversed(kept))
    initializers = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(initializers)


def _read_by(node: Any) -> set[str]:
    """Names a node reads, inside its subgraphs too."""
    names = set(node.input)
    for graph in subgraphs(node):
        for inner in graph.node:
            names |= _read_by(inner)
        names |= {output.name for output in graph.output}
    return names
