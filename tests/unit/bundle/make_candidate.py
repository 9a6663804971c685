"""Small candidates, as the model stage would leave them. Also a script, so that other processes can make the same ones.

``python make_candidate.py FOLDER KIND …`` makes, exports and lays out each candidate below FOLDER, and prints its kind,
format and digest. ``KIND:changed`` is the same candidate with one value of one training row changed.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairlead.bundle.exports import Export, export, read_trained
from fairlead.bundle.layout import Contents, requirements_of, write_source
from fairlead.bundle.serving import serving_record
from fairlead.heldout import save_heldout
from fairlead.records import Candidate
from fairlead.schema import Batch, Field, Output, Schema
from fairlead.schema.answers import answers_of
from fairlead.serve.backends import open_backend
from fairlead.spec.serve import Serve


@dataclass(frozen=True)
class Made:
    """An unfitted pipeline, its rows and what they mean."""

    estimator: Any
    schema: Schema
    rows: Batch
    target: Any
    declared: Sequence[str] = ()
    code: str = ""


def numbers(names: Sequence[str], **more: Any) -> tuple[Field, ...]:
    return tuple(Field(name, "number", **more) for name in names)


def two_classes(**more: Any) -> Output:
    return Output("classification", "y", classes=("0", "1"), positive="1", **more)


def linear() -> Made:
    """Column names with spaces, as scikit-learn's data set has them."""
    data = load_breast_cancer()
    schema = Schema("cancer", numbers(data.feature_names), two_classes())
    rows = Batch(data.data.astype(np.float32))
    return Made(make_pipeline(StandardScaler(), LogisticRegression()), schema, rows, data.target.astype(str))


def forest() -> Made:
    data = load_breast_cancer()
    schema = Schema("cancer", numbers(data.feature_names), two_classes(threshold=0.45))
    model = RandomForestClassifier(20, max_depth=6, random_state=0)
    return Made(model, schema, Batch(data.data.astype(np.float32)), data.target.astype(str))


def smooth() -> Made:
    """A forest on values that never fall on a split threshold."""
    rows = np.random.default_rng(2).normal(size=(400, 3)).astype(np.float32)
    target = (rows[:, 0] * rows[:, 1] > 0).astype(int).astype(str)
    return Made(
        RandomForestClassifier(10, random_state=0),
        Schema("s", numbers("abc"), two_classes()),
        Batch(rows),
        target,
    )


def forest_regressor() -> Made:
    data = load_diabetes(scaled=False)
    schema = Schema("diabetes", numbers(data.feature_names), Output("regression", "y"))
    return Made(
        RandomForestRegressor(20, random_state=0), schema, Batch(data.data.astype(np.float32)), data.target
    )


def categorical() -> Made:
    """The conversion to ONNX that succeeds and is wrong."""
    random = np.random.default_rng(0)
    codes = random.integers(0, 12, size=600)
    amount = random.normal(size=600)
    target = ((codes % 3 == 0) ^ (amount > 0.5)).astype(int).astype(str)
    schema = Schema(
        "cats",
        (Field("shop", "category", values=tuple("abcdefghijkl")), Field("amount", "number")),
        two_classes(),
    )
    rows = Batch(np.column_stack([codes, amount]).astype(np.float32))
    model = HistGradientBoostingClassifier(max_iter=20, categorical_features=[0], random_state=0)
    return Made(model, schema, rows, target)


SENTENCES = (
    "l'été à la plage avec un café", "free money now 100 percent", "Straße nach Köln und zurück", "meeting at noon on friday",
    "win a prize win a prize today", "naïve façade crème brûlée", "the quarterly report is attached", "",
)  # fmt: skip


def text(**options: Any) -> Made:
    random = np.random.default_rng(1)
    texts = [f"{SENTENCES[i % 8]} {SENTENCES[random.integers(8)]}".strip() * (1 + i % 3) for i in range(160)]
    schema = Schema("mails", (Field("body", "text"),), two_classes())
    rows = Batch(np.empty((160, 0), np.float32), (np.array(texts, dtype=object),))
    words = TfidfVectorizer(**{"lowercase": False, "ngram_range": (1, 2), **options})
    model = make_pipeline(ColumnTransformer([("body", words, 0)]), LogisticRegression(C=100))
    return Made(model, schema, rows, np.array([str(i % 2) for i in range(160)]))


CUSTOM = '''"""The project's own transformer."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin


class Logs(TransformerMixin, BaseEstimator):
    """Logarithms of magnitudes."""

    def fit(self, rows, target=None):
        self.n_features_in_ = rows.shape[1]
        return self

    def transform(self, rows):
        return np.log1p(np.abs(rows))
'''


def custom(folder: Path) -> Made:
    """A transformer of the project's own package ``logs_of_project``."""
    (folder / "code").mkdir(parents=True, exist_ok=True)
    (folder / "code" / "logs_of_project.py").write_text(CUSTOM)
    sys.path.insert(0, str(folder / "code"))
    Logs = importlib.import_module("logs_of_project").Logs
    data = load_iris()
    schema = Schema(
        "flowers", numbers(["a", "b", "c", "d"]), Output("classification", "y", classes=("0", "1", "2"))
    )
    model = make_pipeline(Logs(), RandomForestClassifier(5, random_state=0))
    rows = Batch(data.data.astype(np.float32))
    return Made(model, schema, rows, data.target.astype(str), declared=("logs_of_project.Logs",), code="code")


def clusters(kind: str = "kmeans") -> Made:
    model = KMeans(3, n_init=3, random_state=0) if kind == "kmeans" else GaussianMixture(3, random_state=0)
    schema = Schema("flowers", numbers(["a", "b", "c", "d"]), Output("clustering", clusters=3))
    return Made(
        make_pipeline(StandardScaler(), model), schema, Batch(load_iris().data.astype(np.float32)), None
    )


KINDS: dict[str, Callable[[Path], Made]] = {
    "linear": lambda _: linear(),
    "forest": lambda _: forest(),
    "smooth": lambda _: smooth(),
    "regressor": lambda _: forest_regressor(),
    "categorical": lambda _: categorical(),
    "text": lambda _: text(),
    "custom": custom,
    "kmeans": lambda _: clusters("kmeans"),
    "mixture": lambda _: clusters("mixture"),
}


def write_candidate(made: Made, folder: Path, *, changed: bool = False) -> Candidate:
    """Fit on the first three quarters of the rows, and write the candidate's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    cut = len(made.rows) * 3 // 4
    train, heldout = made.rows.take(slice(0, cut)), made.rows.take(slice(cut, None))
    if changed:
        train.numbers[0, 0] += 1
    target = None if made.target is None else made.target[:cut]
    made.estimator.fit(train.as_array(), target)
    expected = answers_of(made.estimator, made.schema.output.task, heldout.as_array())
    (folder / "model.skops").write_bytes(skops.io.dumps(made.estimator))
    save_heldout(folder / "heldout.npz", heldout, expected)
    (folder / "schema.json").write_text(made.schema.to_json())
    (folder / "profile.json").write_text(json.dumps({"features": {"rows": cut}, "predictions": {}}))
    (folder / "evaluation.json").write_text('{"metrics": {}}\n')
    record = Candidate(
        path=str(folder), name="test", parameters={}, metrics={"roc_auc": 0.9}, baseline={}, gates=[],
        trusted=list(made.declared), dataset="d" * 64, project="p" * 64,
    )  # fmt: skip
    (folder / Candidate.FILE).write_text(record.to_json())
    return record


def export_candidate(record: Candidate, folder: Path, *, all_formats: bool = False) -> Export:
    folder.mkdir(parents=True, exist_ok=True)
    return export(
        read_trained(Path(record.path), record.trusted), folder, open_backend, all_formats=all_formats
    )


def contents_of(record: Candidate, exported: Export, name: str = "test") -> Contents:
    return Contents(
        name, exported.format, exported.file, Path(record.path), exported.trusted, record.dataset,
        requirements_of(exported.format), serving_record(Serve()),
    )  # fmt: skip


def digest_of_kind(kind: str, folder: Path) -> str:
    name, _, changed = kind.partition(":")
    record = write_candidate(KINDS[name](folder / "candidate"), folder / "candidate", changed=bool(changed))
    exported = export_candidate(record, folder / "model")
    manifest = write_source(contents_of(record, exported), folder / "source")
    return f"{kind} {exported.format} {manifest['digest']}"


if __name__ == "__main__":
    for kind in sys.argv[2:]:
        print(digest_of_kind(kind, Path(sys.argv[1], kind.replace(":", "-"))))
