"""Graphs in 8 bits, by the runtime that serves them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from fairlead.bundle.compress.quantise import quantisations, to_int8
from fairlead.bundle.compress.variants import NothingToDo
from fairlead.bundle.to_onnx import to_onnx
from fairlead.schema import Batch, Field, Output, Schema
from fairlead.serve.backends import open_backend

SCHEMA = Schema(
    "s",
    tuple(Field(f"c{place}", "number") for place in range(20)),
    Output("classification", "y", classes=("0", "1"), positive="1"),
)
ROWS = np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)
TARGET = (ROWS[:, 0] * ROWS[:, 1] > 0).astype(int)


@cache
def network() -> bytes:
    return to_onnx(MLPClassifier((64,), max_iter=30, random_state=0).fit(ROWS, TARGET), SCHEMA)


@cache
def variants() -> dict[str, bytes]:
    return {one.name: one.graph or b"" for one in quantisations(network())}


def answers(graph: bytes, rows: Any, folder: Path) -> Any:
    file = folder / "model.onnx"
    file.write_bytes(graph)
    return open_backend("onnx", file, SCHEMA)(Batch(rows))


@pytest.mark.parametrize("name", ["int8", "int8-weights"])
def test_a_network_becomes_smaller_and_answers_nearly_alike(name: str, tmp_path: Path) -> None:
    graph = variants()[name]
    assert len(graph) < len(network()) / 1.5
    difference = np.abs(answers(graph, ROWS, tmp_path) - answers(network(), ROWS, tmp_path)).max()
    assert 0 < difference < 0.1


def test_weights_alone_answer_a_row_alike_in_any_company(tmp_path: Path) -> None:
    graph = variants()["int8-weights"]
    np.testing.assert_allclose(
        answers(graph, ROWS, tmp_path)[:5], answers(graph, ROWS[:5], tmp_path), atol=1e-6
    )


def test_dynamic_scales_make_an_answer_depend_on_the_batch(tmp_path: Path) -> None:
    graph = variants()["int8"]
    beside = np.vstack([ROWS[:1], 50 * ROWS[1:2]])
    assert np.abs(answers(graph, beside, tmp_path)[0] - answers(graph, ROWS[:1], tmp_path)[0]).max() > 1e-3


def test_the_same_graph_gives_the_same_bytes() -> None:
    assert {one.name: one.graph for one in quantisations(network())} == variants()


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (RandomForestClassifier(3, random_state=0), "compares thresholds"),
        (LogisticRegression(), "no MatMul or Gemm"),
    ],
    ids=["trees", "one operator of ai.onnx.ml"],
)
def test_a_graph_without_products_says_so(model: Any, why: str) -> None:
    with pytest.raises(NothingToDo, match=why):
        list(quantisations(to_onnx(model.fit(ROWS, TARGET), SCHEMA)))


def test_an_old_graph_is_not_given_operators_it_does_not_have() -> None:
    model = onnx.load_from_string(network())
    for opset in model.opset_import:
        opset.version = min(opset.version, 11)
    with pytest.raises(NothingToDo, match="opset 11"):
        list(quantisations(model.SerializeToString()))


@example([[0.0, 0.0, 1.4e-45]])
@given(st.lists(st.lists(st.floats(-1e3, 1e3, width=32), min_size=3, max_size=3), min_size=1, max_size=8))
def test_codes_are_within_half_a_step_of_the_weights(weights: list[list[float]]) -> None:
    matrix = np.array(weights, dtype=np.float32)
    codes, scales = to_int8(matrix)
    assert np.abs(codes.astype(int)).max() <= 127
    assert (np.abs(codes * scales.astype(np.float64) - matrix) <= scales * 0.501).all()
