from __future__ import annotations

import unicodedata
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from fairlead.bundle.formats import NotSupportedError
from fairlead.bundle.to_onnx import to_onnx
from fairlead.schema import Batch, Field, Output, Schema
from fairlead.schema.answers import answers_of
from fairlead.schema.encode import encode_text

TASKS = ("linear", "forest", "regressor", "text", "kmeans", "mixture")


def fitted(made: Any) -> Any:
    return made.estimator.fit(made.rows.as_array(), made.target)


def feeds_of(batch: Batch) -> dict[str, Any]:
    texts = {f"text_{position}": text[:, None] for position, text in enumerate(batch.texts)}
    return {**({"numbers": batch.numbers} if batch.numbers.shape[1] else {}), **texts}


def ask(content: bytes, batch: Batch) -> Any:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    [answers] = session.run(None, feeds_of(batch))
    return answers


@pytest.mark.parametrize("kind", TASKS)
def test_answers_have_the_shape_and_values_of_the_trained_model(
    make: ModuleType, tmp_path: Any, kind: str
) -> None:
    made = make.KINDS[kind](tmp_path)
    expected = answers_of(fitted(made), made.schema.output.task, made.rows.as_array())
    answers = ask(to_onnx(made.estimator, made.schema), made.rows)
    assert answers.shape == expected.shape
    np.testing.assert_allclose(answers, expected, rtol=1e-4, atol=1e-5)


def test_the_only_output_is_called_answers(make: ModuleType) -> None:
    made = make.linear()
    model = onnx.load_from_string(to_onnx(fitted(made), made.schema))
    assert [output.name for output in model.graph.output] == ["answers"]


def test_nodes_that_only_made_labels_are_gone(make: ModuleType) -> None:
    made = make.clusters("kmeans")
    model = onnx.load_from_string(to_onnx(fitted(made), made.schema))
    assert "ArgMin" not in {node.op_type for node in model.graph.node}


def test_column_names_with_spaces_do_not_reach_the_graph(make: ModuleType) -> None:
    made = make.linear()
    assert any(" " in column for column in made.schema.columns)
    model = onnx.load_from_string(to_onnx(fitted(made), made.schema))
    assert [node.name for node in model.graph.input] == ["numbers"]


TEXTS = {
    "accents": "L'été à l'école: naïve façade, crème brûlée",
    "decomposed accents": "e\u0301te\u0301 a\u0300 l'e\u0301cole",
    "empty": "",
    "blanks": "  \n\t ",
    "single letters": "a b c dd e ff",
    "german": "Straße nach Köln und zurück",
    "other scripts": "हिन्दी 漢字 テスト 한국어 عربى",
    "numbers": "100 percent x² ① Ⅷ 3,14",
    "underscores": "_under score_ foo_bar",
    "emoji": "café😀plage",
    "unknown words": "zzz qqq www",
    "long": "win a prize été " * 4_000,
    "one long word": "é" * 20_000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_words_are_found_as_scikit_learn_finds_them(make: ModuleType, text: str) -> None:
    made = make.text()
    model = fitted(made)
    row = Batch(np.empty((1, 0), np.float32), (encode_text(made.schema.fields[0], [text]),))
    expected = answers_of(model, "classification", row.as_array())
    np.testing.assert_allclose(ask(to_onnx(model, made.schema), row), expected, atol=1e-6)


def test_every_character_splits_words_as_in_scikit_learn() -> None:
    """All of the basic plane, but for characters that this Python's Unicode does not know yet and RE2's may."""
    codes = [code for code in range(1, 0x10000) if unicodedata.category(chr(code)) not in ("Cn", "Cs")]
    texts = encode_text(Field("t", "text"), [f"start{chr(code)}end" for code in codes])
    words = CountVectorizer(lowercase=False, vocabulary=["end", "start", "startend"])
    model = make_pipeline(ColumnTransformer([("t", words, 0)]), LogisticRegression())
    model.fit(texts[:, None], np.arange(len(texts)) % 2)
    model[-1].coef_ = np.array([[3.0, 5.0, 7.0]])  # each of the three words alone can be told from the answer
    schema = Schema("s", (Field("t", "text"),), Output("classification", classes=("0", "1"), positive="1"))
    batch = Batch(np.empty((len(texts), 0), np.float32), (texts,))
    difference = np.abs(
        ask(to_onnx(model, schema), batch) - answers_of(model, "classification", batch.as_array())
    )
    assert [hex(code) for code, row in zip(codes, difference.max(axis=1), strict=True) if row > 1e-5] == []


@pytest.mark.parametrize(
    ("vectoriser", "reason"),
    [
        pytest.param(TfidfVectorizer(), "lowercase", id="lower-casing"),
        pytest.param(TfidfVectorizer(lowercase=False, stop_words=["and"]), "stop_words", id="stop words"),
        pytest.param(CountVectorizer(lowercase=False, analyzer="char"), "default pattern", id="characters"),
        pytest.param(
            TfidfVectorizer(lowercase=False, token_pattern=r"\w+"), "default pattern", id="own pattern"
        ),
    ],
)
def test_text_options_that_convert_and_are_wrong_are_refused(
    make: ModuleType, vectoriser: Any, reason: str
) -> None:
    made = make.text()
    model = make_pipeline(ColumnTransformer([("body", vectoriser, 0)]), LogisticRegression())
    model.fit(made.rows.as_array(), made.target)
    with pytest.raises(NotSupportedError, match=reason):
        to_onnx(model, made.schema)


def test_a_step_without_converter_is_not_supported(make: ModuleType, tmp_path: Any) -> None:
    made = make.custom(tmp_path)
    with pytest.raises(NotSupportedError, match="Logs"):
        to_onnx(fitted(made), made.schema)
