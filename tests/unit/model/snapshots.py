"""Dataset folders written by hand, so that the model stage is tested without the data stage; and a tracker that remembers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from fairlead.records import Dataset, Workspace
from fairlead.schema import Field, Output, Schema, SeriesShape
from fairlead.spec import Contract, Project
from fairlead.stats.profile import Profile

SPLIT_SHARES = (0.6, 0.2)
CONTRACT = Contract.model_validate(
    {"apiVersion": "fairlead.contract/v1", "columns": {"x": {"type": "number"}}}
)


def write_snapshot(
    folder: Path, schema: Schema, frame: pd.DataFrame, split: Sequence[str] | None = None
) -> Dataset:
    """Write *frame* as a dataset folder. Without *split* the first rows are training, the last ones test."""
    folder.mkdir(parents=True, exist_ok=True)
    frame = frame.reset_index(drop=True)
    if "_row" not in frame and schema.series is None:
        frame = frame.assign(_row=np.arange(len(frame), dtype=np.int64))
    names = np.asarray(split if split is not None else by_position(len(frame)))
    for name in ("train", "valid", "test"):
        frame[names == name].to_parquet(folder / f"{name}.parquet", index=False)
    (folder / "schema.json").write_text(schema.to_json())
    (folder / "profile.json").write_text(_profile(schema, frame[names == "train"]).to_json())
    digest = hashlib.sha256(pd.util.hash_pandas_object(frame).to_numpy().tobytes()).hexdigest()
    rows = {name: int((names == name).sum()) for name in ("train", "valid", "test")} | {"quarantined": 0}
    record = Dataset(path=str(folder), digest=digest, source="by hand", rows=rows)
    (folder / "dataset.json").write_text(record.to_json())
    return record


def by_position(rows: int) -> list[str]:
    train, valid = int(rows * SPLIT_SHARES[0]), int(rows * SPLIT_SHARES[1])
    return ["train"] * train + ["valid"] * valid + ["test"] * (rows - train - valid)


def _profile(schema: Schema, frame: pd.DataFrame) -> Profile:
    plain = {f.name: frame[f.name].astype(object).where(frame[f.name].notna(), None) for f in schema.fields}
    return Profile.of({f.name: (f.kind, plain[f.name].to_numpy()) for f in schema.fields})


def project_of(task: str, candidates: Sequence[Any], **changes: Any) -> Project:
    """A valid project file for *task*; *changes* are merged into ``model``, ``data`` and ``problem``."""
    data: dict[str, Any] = {"source": {"kind": "csv", "uri": "rows.csv"}}
    if task in ("classification", "regression"):
        data["target"] = "target"
    if task == "forecast":
        data |= {"time": "at", "series": {"value": "value", "window": 14, "horizon": 3, "season": 7}}
    model = {"task": task, "candidates": list(candidates), "search": {"trials": 2, "folds": 2}}
    problem = {"statement": "A test", "owner": "tests"}
    return Project.model_validate({
        "apiVersion": "fairlead/v1",
        "name": "sample",
        "problem": problem | changes.get("problem", {}),
        "data": data | changes.get("data", {}),
        "model": model | changes.get("model", {}),
    })  # fmt: skip


def workspace_of(root: Path, project: Project) -> Workspace:
    root.mkdir(parents=True, exist_ok=True)
    return Workspace(root=root, project=project, contract=CONTRACT, digest="0" * 64)


# ------------------------------------------------------------------------------------------------------- data


@dataclass(frozen=True)
class Sample:
    """Rows with their schema."""

    schema: Schema
    frame: pd.DataFrame

    def write(self, folder: Path) -> Dataset:
        return write_snapshot(folder, self.schema, self.frame)


def shuffled(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    return frame.sample(frac=1.0, random_state=seed).reset_index(drop=True)


def cancer(columns: int = 6) -> Sample:
    """Two classes, numbers with a few missing values, one category made of a number."""
    raw = load_breast_cancer()
    names = [name.replace(" ", "_") for name in raw.feature_names[:columns]]
    frame = pd.DataFrame(raw.data[:, :columns], columns=names)
    frame["size"] = np.where(frame[names[0]] > 15, "large", "small")
    frame.loc[::17, names[1]] = np.nan
    frame["target"] = np.where(raw.target == 0, "malignant", "benign")
    fields = [Field(name, "number", missing="allow") for name in names]
    fields.append(Field("size", "category", values=("small", "large"), unknown="other"))
    output = Output("classification", "target", ("benign", "malignant"), "malignant")
    return Sample(Schema("sample", tuple(fields), output), shuffled(frame))


def iris() -> Sample:
    """Three classes."""
    raw = load_iris()
    names = ("a", "b", "c", "d")
    frame = pd.DataFrame(raw.data, columns=names)
    frame["target"] = np.array(raw.target_names)[raw.target]
    fields = tuple(Field(name, "number") for name in names)
    output = Output("classification", "target", tuple(sorted(raw.target_names.tolist())))
    return Sample(Schema("sample", fields, output), shuffled(frame))


def diabetes() -> Sample:
    raw = load_diabetes()
    names = tuple(raw.feature_names)
    frame = pd.DataFrame(raw.data, columns=names).assign(target=raw.target)
    fields = tuple(Field(name, "number") for name in names)
    return Sample(Schema("sample", fields, Output("regression", "target")), shuffled(frame))


def segments() -> Sample:
    """Iris without its labels."""
    labelled = iris()
    schema = Schema("sample", labelled.schema.fields, Output("clustering"))
    return Sample(schema, labelled.frame.drop(columns="target"))


SPAM = ["win", "free", "money", "prize", "click", "offer", "now", "cheap", "café"]
HAM = ["meeting", "report", "lunch", "tomorrow", "project", "notes", "thanks", "naïve", "agenda"]


def texts(rows: int = 240, *, with_number: bool = True) -> Sample:
    """Two classes of short texts, some empty, with accents; and a number that tells nothing."""
    generator = np.random.default_rng(7)
    spam = generator.random(rows) < 0.4
    words = [generator.choice(SPAM if is_spam else HAM, generator.integers(2, 9)) for is_spam in spam]
    noise = [generator.choice(HAM + SPAM, 2) for _ in range(rows)]
    body = [" ".join([*some, *other]) for some, other in zip(words, noise, strict=True)]
    body[3] = ""
    frame = pd.DataFrame({"body": body, "length": [float(len(text)) for text in body]})
    frame["target"] = np.where(spam, "spam", "ham")
    fields = (
        *((Field("length", "number"),) if with_number else ()),
        Field("body", "text", missing="allow", case="lower"),
    )
    output = Output("classification", "target", ("ham", "spam"), "spam")
    return Sample(Schema("sample", fields, output), frame)


def demand(
    days: int = 140, keys: Sequence[str] = ("a", "b"), *, noise: float = 1.0
) -> tuple[Schema, pd.DataFrame, list[str]]:
    """Daily series with a weekly season and noise; the split of each row by its time."""
    generator = np.random.default_rng(3)
    shape = SeriesShape(tuple(keys), "day", window=14, horizon=3, season=7)
    at = pd.date_range("2024-01-01", periods=days, freq="D")
    weekly = np.array([5.0, 6.0, 7.0, 8.0, 12.0, 3.0, 1.0])
    parts = [
        pd.DataFrame({
            "key": key,
            "at": at,
            "value": (number + 1) * weekly[np.arange(days) % 7] + generator.normal(0, noise, days),
        })
        for number, key in enumerate(keys)
    ]  # fmt: skip
    split = by_position(days) * len(keys)
    return (
        Schema("sample", (), Output("forecast", "value"), shape),
        pd.concat(parts, ignore_index=True),
        split,
    )


# --------------------------------------------------------------------------------------------------- surroundings


@dataclass
class Remembered:
    """A tracker that keeps what it is told."""

    run_id: str = "run"
    seen_params: dict[str, Any] = field(default_factory=dict)
    seen_metrics: dict[str, float] = field(default_factory=dict)
    seen_tags: dict[str, str] = field(default_factory=dict)
    seen_artifacts: list[str] = field(default_factory=list)
    seen_datasets: list[str] = field(default_factory=list)
    seen_trials: list[tuple[int, float | None]] = field(default_factory=list)

    def params(self, values: Mapping[str, Any]) -> None:
        self.seen_params |= values

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        self.seen_metrics |= values

    def tags(self, values: Mapping[str, str]) -> None:
        self.seen_tags |= values

    def artifact(self, path: Path, folder: str = "") -> None:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        self.seen_artifacts += [f"{folder}/{file.name}".lstrip("/") for file in files]

    def dataset(self, record: Dataset, sample: pd.DataFrame, context: str) -> None:
        self.seen_datasets.append(record.digest)

    def trial(
        self, study: str, number: int, parameters: Mapping[str, Any], value: float | None, seconds: float
    ) -> None:
        self.seen_trials.append((number, value))


@dataclass
class Noted:
    """A progress that keeps what it is told."""

    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    @contextmanager
    def bar(self, text: str, total: int | None) -> Iterator[Callable[[int], None]]:
        yield lambda done: None
