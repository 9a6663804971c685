"""Every format answers as the estimator it was made from, in the shape of its task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
import treelite
from sklearn.cluster import KMeans
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)  # fmt: skip
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from fairlead.errors import IntegrityError
from fairlead.schema import Batch, Field, Output, Schema
from fairlead.schema.answers import answers_of
from fairlead.serve.backends import open_backend

RNG = np.random.default_rng(3)
NUMBERS = RNG.normal(size=(200, 4)).astype(np.float32)
TARGETS = {
    1: NUMBERS[:, 0] * 3,
    2: np.where(NUMBERS[:, 0] > 0, "yes", "no"),
    3: np.array(["a", "b", "c"])[np.digitize(NUMBERS[:, 0], [-0.5, 0.5])],
}


def schema_of(classes: int, width: int = 4) -> Schema:
    """A regression, or a classification of so many classes."""
    labels = tuple(sorted(set(TARGETS[classes]))) if classes > 1 else ()
    output = Output("classification", classes=labels, positive=labels[-1]) if labels else Output("regression")
    return Schema("m", tuple(Field(f"f{i}", "number") for i in range(width)), output)


TREES = {
    "forest, two classes": (RandomForestClassifier(5, random_state=0), 2),
    "forest, three classes": (RandomForestClassifier(5, random_state=0), 3),
    "forest, regression": (RandomForestRegressor(5, random_state=0), 1),
    "boosting, two classes": (GradientBoostingClassifier(n_estimators=5, random_state=0), 2),
    "histograms, two classes": (HistGradientBoostingClassifier(max_iter=5, random_state=0), 2),
    "histograms, three classes": (HistGradientBoostingClassifier(max_iter=5, random_state=0), 3),
    "histograms, regression": (HistGradientBoostingRegressor(max_iter=5, random_state=0), 1),
}


@pytest.mark.parametrize(("estimator", "classes"), TREES.values(), ids=TREES)
def test_treelite_answers_as_scikit_learn(tmp_path: Path, estimator: Any, classes: int) -> None:
    estimator.fit(NUMBERS, TARGETS[classes])
    file = tmp_path / "model.treelite"
    treelite.sklearn.import_model(estimator).serialize(file)
    predict = open_backend("treelite", file, schema_of(classes))
    expected = answers_of(estimator, schema_of(classes).output.task, NUMBERS)
    np.testing.assert_allclose(predict(Batch(NUMBERS)), expected, atol=1e-6)


def test_treelite_answers_one_row_as_it_answers_many(tmp_path: Path) -> None:
    estimator, _ = TREES["histograms, two classes"]
    file = tmp_path / "model.treelite"
    treelite.sklearn.import_model(estimator.fit(NUMBERS, TARGETS[2])).serialize(file)
    predict = open_backend("treelite", file, schema_of(2))
    assert predict(Batch(NUMBERS))[:1].tolist() == predict(Batch(NUMBERS[:1])).tolist()


def test_treelite_refuses_another_number_of_columns(tmp_path: Path) -> None:
    file = tmp_path / "model.treelite"
    treelite.sklearn.import_model(RandomForestRegressor(2).fit(NUMBERS, TARGETS[1])).serialize(file)
    with pytest.raises(IntegrityError, match="the trees read 4 numbers, the schema gives 3"):
        open_backend("treelite", file, schema_of(1, width=3))


def test_skops_answers_as_the_trained_pipeline(tmp_path: Path) -> None:
    pipeline = make_pipeline(LogisticRegression()).fit(NUMBERS, TARGETS[2])
    skops.io.dump(pipeline, tmp_path / "model.skops")
    predict = open_backend("skops", tmp_path / "model.skops", schema_of(2))
    np.testing.assert_array_equal(predict(Batch(NUMBERS)), pipeline.predict_proba(NUMBERS))


def test_skops_answers_clusters_by_closeness(tmp_path: Path) -> None:
    clusters = KMeans(3, random_state=0, n_init=1).fit(NUMBERS)
    skops.io.dump(clusters, tmp_path / "model.skops")
    schema = Schema("m", schema_of(1).fields, Output("clustering", clusters=3))
    predict = open_backend("skops", tmp_path / "model.skops", schema)
    assert predict(Batch(NUMBERS)).argmax(axis=1).tolist() == clusters.predict(NUMBERS).tolist()


def test_skops_refuses_a_type_that_is_not_trusted(tmp_path: Path) -> None:
    forest = RandomForestClassifier(2).fit(NUMBERS, TARGETS[2])
    skops.io.dump(forest, tmp_path / "model.skops")
    with pytest.raises(IntegrityError, match="cannot be opened as skops"):
        open_backend("skops", tmp_path / "model.skops", schema_of(2))
    open_backend("skops", tmp_path / "model.skops", schema_of(2), ["sklearn.tree._tree.Tree"])


def test_skops_finds_the_code_of_the_project(tmp_path: Path) -> None:
    """In a process of its own, where the project's package is not importable yet."""
    import subprocess
    import sys

    code = tmp_path / "code"
    code.mkdir()
    (code / "own_features.py").write_text(
        "from sklearn.base import BaseEstimator\n"
        "class Half(BaseEstimator):\n"
        "    def fit(self, X, y=None):\n        self.n_ = X.shape[1]\n        return self\n"
        "    def predict(self, X):\n        return X[:, 0] / 2\n"
    )
    program = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "folder, save = Path(sys.argv[1]), len(sys.argv) > 2\n"
        "if save:\n"
        "    import skops.io; sys.path.insert(0, str(folder / 'code')); from own_features import Half\n"
        "    skops.io.dump(Half().fit(np.ones((2, 1))), folder / 'model.skops'); sys.exit()\n"
        "from fairlead.schema import Batch, Field, Output, Schema\n"
        "from fairlead.serve.backends import open_backend\n"
        "schema = Schema('m', (Field('a', 'number'),), Output('regression'))\n"
        "trusted = ['own_features.Half']\n"
        "predict = open_backend('skops', folder / 'model.skops', schema, trusted, folder / 'code')\n"
        "print(predict(Batch(np.array([[3.0]], np.float32))).tolist())"
    )
    command = [sys.executable, "-B", "-c", program, str(tmp_path)]
    subprocess.run([*command, "save"], check=True)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[[1.5]]"
    assert not (code / "__pycache__").exists()


def test_onnx_reads_numbers_and_texts(tmp_path: Path) -> None:
    from onnx import TensorProto, checker, helper

    # The graph adds 1 to the number where the text is "spam".
    graph = helper.make_graph(
        [
            helper.make_node("Equal", ["text_0", "spam"], ["is_spam"]),
            helper.make_node("Cast", ["is_spam"], ["one"], to=TensorProto.FLOAT),
            helper.make_node("Add", ["numbers", "one"], ["answers"]),
        ],
        "g",
        [
            helper.make_tensor_value_info("numbers", TensorProto.FLOAT, [None, 1]),
            helper.make_tensor_value_info("text_0", TensorProto.STRING, [None, 1]),
        ],
        [helper.make_tensor_value_info("answers", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor("spam", TensorProto.STRING, [1], [b"spam"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    checker.check_model(model)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    schema = Schema("m", (Field("t", "text"), Field("a", "number")), Output("regression"))
    predict = open_backend("onnx", tmp_path / "model.onnx", schema)
    texts = np.array(["spam", "ham", "spam\0"], dtype=object)
    answers = predict(Batch(np.array([[1], [2], [3]], np.float32), (texts,)))
    assert answers.dtype == np.float64
    assert answers.tolist() == [[2.0], [2.0], [3.0]]


def test_skops_reads_texts_beside_numbers(tmp_path: Path) -> None:
    from sklearn.compose import ColumnTransformer

    words = ColumnTransformer([("number", "passthrough", [0]), ("words", CountVectorizer(), 1)])
    texts = np.array(["good day", "buy now", "good night", "buy pills"], dtype=object)
    batch = Batch(np.ones((4, 1), np.float32), (texts,))
    pipeline = make_pipeline(words, LogisticRegression()).fit(
        batch.as_array(), ["ham", "spam", "ham", "spam"]
    )
    skops.io.dump(pipeline, tmp_path / "model.skops")
    schema = Schema(
        "m", (Field("a", "number"), Field("t", "text")), Output("classification", classes=("ham", "spam"))
    )
    predict = open_backend("skops", tmp_path / "model.skops", schema)
    assert predict(batch).argmax(axis=1).tolist() == [0, 1, 0, 1]
