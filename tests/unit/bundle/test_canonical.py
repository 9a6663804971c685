from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import skops.io
from onnx import TensorProto, helper
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.tree import DecisionTreeClassifier

from fairlead.bundle.canonical import canonical_onnx, canonical_skops, without_padding, zip_of


def graph_of(prefix: str, name: str = "a graph", producer: str = "somebody") -> onnx.ModelProto:
    """``answers = 2 · numbers + 1``, with names of the maker's choice."""
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["numbers", f"{prefix}two"], [f"{prefix}twice"], name=f"{prefix}mul"),
            helper.make_node("Add", [f"{prefix}twice", f"{prefix}one"], ["answers"], doc_string=prefix),
        ],
        name,
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("answers", TensorProto.FLOAT, [None, 1])],
        [
            helper.make_tensor(f"{prefix}two", TensorProto.FLOAT, [1], [2.0]),
            helper.make_tensor(f"{prefix}one", TensorProto.FLOAT, [1], [1.0]),
        ],
    )
    opsets = [helper.make_opsetid("ai.onnx.ml", 1), helper.make_opsetid("", 18), helper.make_opsetid("", 18)]
    return helper.make_model(graph, producer_name=producer, opset_imports=opsets, ir_version=10)


def run(content: bytes) -> Any:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(["answers"], {"numbers": np.array([[3.0]], np.float32)})[0]


def test_onnx_bytes_do_not_depend_on_names_producer_or_documentation() -> None:
    assert canonical_onnx(graph_of("x_", "one", "a")) == canonical_onnx(graph_of("y_", "two", "b"))


def test_canonical_onnx_computes_the_same() -> None:
    assert run(canonical_onnx(graph_of("x_"))).tolist() == [[7.0]]


def test_opset_imports_are_stated_once_and_sorted() -> None:
    model = onnx.load_from_string(canonical_onnx(graph_of("x_")))
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18), ("ai.onnx.ml", 1)]


def test_a_changed_constant_changes_the_onnx_bytes() -> None:
    other = graph_of("x_")
    other.graph.initializer[0].float_data[0] = 2.5
    assert canonical_onnx(other) != canonical_onnx(graph_of("x_"))


def test_names_inside_subgraphs_are_renamed_with_the_values_they_read() -> None:
    then = helper.make_graph(
        [helper.make_node("Add", ["outer", "outer"], ["inner"])], "t",
        [], [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)],
    )  # fmt: skip
    other = helper.make_graph(
        [helper.make_node("Identity", ["outer"], ["inner2"])], "e",
        [], [helper.make_tensor_value_info("inner2", TensorProto.FLOAT, None)],
    )  # fmt: skip
    graph = helper.make_graph(
        [
            helper.make_node("Identity", ["numbers"], ["outer"]),
            helper.make_node("If", ["yes"], ["answers"], then_branch=then, else_branch=other),
        ],
        "g",
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("answers", TensorProto.FLOAT, None)],
        [helper.make_tensor("yes", TensorProto.BOOL, [], [True])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    assert run(canonical_onnx(model)).tolist() == [[6.0]]


def tree() -> DecisionTreeClassifier:
    rows = np.arange(40, dtype=np.float32).reshape(20, 2)
    return DecisionTreeClassifier(random_state=0).fit(rows, np.arange(20) % 3)


def test_skops_bytes_do_not_depend_on_where_objects_lie_in_memory() -> None:
    first = tree()
    second = tree()  # both alive, so at different addresses
    assert skops.io.dumps(first) != skops.io.dumps(second)
    assert canonical_skops(skops.io.dumps(first)) == canonical_skops(skops.io.dumps(second))


def test_canonical_skops_loads_and_answers_the_same() -> None:
    model = tree()
    loaded = skops.io.loads(canonical_skops(skops.io.dumps(model)), trusted=["sklearn.tree._tree.Tree"])
    rows = np.random.default_rng(0).uniform(0, 40, (50, 2)).astype(np.float32)
    assert np.array_equal(loaded.predict_proba(rows), model.predict_proba(rows))


def test_canonical_skops_of_itself_changes_nothing() -> None:
    once = canonical_skops(skops.io.dumps(tree()))
    assert canonical_skops(once) == once


def test_the_address_that_text_vectorisers_keep_is_removed() -> None:
    words = TfidfVectorizer(stop_words=["and", "or"]).fit(["this and that", "these or those"])
    again = TfidfVectorizer(stop_words=["and", "or"]).fit(["this and that", "these or those"])
    assert canonical_skops(skops.io.dumps(words)) == canonical_skops(skops.io.dumps(again))
    loaded = skops.io.loads(canonical_skops(skops.io.dumps(words)))
    assert (loaded.transform(["and that"]) != words.transform(["and that"])).nnz == 0


def test_members_of_sets_are_ordered() -> None:
    def reversed_set(data: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            schema = json.loads(archive.read("schema.json"))
        schema["content"].reverse()
        return zip_of({"schema.json": json.dumps(schema).encode()})

    saved = skops.io.dumps({"alpha", "beta", "gamma"})
    assert canonical_skops(reversed_set(saved)) == canonical_skops(saved)
    assert skops.io.loads(canonical_skops(saved)) == {"alpha", "beta", "gamma"}


def test_shared_arrays_stay_shared() -> None:
    array = np.arange(5)
    loaded = skops.io.loads(canonical_skops(skops.io.dumps({"a": array, "b": array})))
    assert loaded["a"] is loaded["b"]


def test_padding_of_records_is_zeroed_and_values_are_kept() -> None:
    layout = np.dtype([("feature", np.int8), ("threshold", np.float64)], align=True)
    dirty = np.frombuffer(b"\xff" * layout.itemsize * 3, dtype=layout).copy()
    dirty["threshold"] = [1.0, 2.0, 3.0]
    clean = without_padding(dirty)
    assert clean["threshold"].tolist() == [1.0, 2.0, 3.0]
    assert clean.tobytes()[1:8] == bytes(7)


def test_zip_members_have_no_times_and_are_stored() -> None:
    with zipfile.ZipFile(io.BytesIO(zip_of({"b": b"22", "a": b"1"}))) as archive:
        members = archive.infolist()
    assert [member.filename for member in members] == ["a", "b"]
    assert {member.date_time for member in members} == {(1980, 1, 1, 0, 0, 0)}
    assert {member.compress_type for member in members} == {zipfile.ZIP_STORED}


def test_bytes_that_are_no_skops_file_are_refused() -> None:
    with pytest.raises(zipfile.BadZipFile):
        canonical_skops(b"not a zip")
