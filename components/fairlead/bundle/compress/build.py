"""A variant as a file that can be served, through the same gate as every export: it must answer as the variant does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import skops.io
from numpy.typing import NDArray

from fairlead.bundle.compress.variants import Variant
from fairlead.bundle.exports import Export, Trained, export
from fairlead.bundle.formats import FORMATS, MODEL_FILE
from fairlead.bundle.hard_rows import hard_rows
from fairlead.bundle.parity import compare, result_of
from fairlead.bundle.to_skops import load_trained
from fairlead.errors import ExportError
from fairlead.records import Answer, OpenModel, ParityResult
from fairlead.schema import Batch
from fairlead.schema.answers import answers_of

ALONE_ROWS = 1_000
"""Rows that a graph is asked about one by one."""


def build(variant: Variant, trained: Trained, folder: Path, open_model: OpenModel) -> Export:
    """Write a variant.

    Args:
        variant: An estimator or a graph.
        trained: The uncompressed model: schema, held-out rows, the project's own code.
        folder: An absent folder.
        open_model: Opens a model file by the code that will serve it.

    Raises:
        ExportError: No format answers as the variant does, or a graph answers a row differently in other company.
    """
    folder.mkdir(parents=True)
    if variant.graph is not None:
        return _built_graph(variant.graph, trained, folder, open_model)
    file = folder / "trained.skops"
    file.write_bytes(skops.io.dumps(variant.estimator))
    estimator = load_trained(file, trained.declared)
    expected = answers_of(estimator, trained.schema.output.task, trained.heldout.as_array())
    same = dataclasses.replace(trained, file=file, estimator=estimator, expected=expected)
    return export(same, folder, open_model)


def _built_graph(graph: bytes, trained: Trained, folder: Path, open_model: OpenModel) -> Export:
    file = folder / MODEL_FILE["onnx"]
    file.write_bytes(graph)
    answer = open_model("onnx", file, trained.schema, (), None)
    result = in_any_company(answer, trained)
    if result.outcome != "agrees":
        raise ExportError(f"a row's answer depends on the rows beside it: {result.reason}")
    others = [ParityResult(name, "not tried", None, 0, "an earlier format agrees") for name in FORMATS[1:]]
    return Export("onnx", file, (), (result, *others))


def in_any_company(answer: Answer, trained: Trained) -> ParityResult:
    """Whether rows get the same answer alone and in a batch; for graphs whose scales are made from the batch."""
    output = trained.schema.output
    heldout = trained.heldout.take(slice(0, ALONE_ROWS))
    hard = hard_rows(trained.schema, trained.heldout, {}, most=ALONE_ROWS)
    pairs = [compare(one_by_one(answer, rows), answer(rows), output) for rows in (heldout, hard)]
    return result_of("onnx", pairs[0], pairs[1])


def one_by_one(answer: Answer, rows: Batch) -> NDArray[np.float64]:
    """Answers to each row asked about alone, shape (rows, k)."""
    return np.concatenate([answer(rows.take(slice(place, place + 1))) for place in range(len(rows))])
