"""Every candidate kind in every format: whether it answers as the trained model does, how far off it is, how fast one row is.

    python benchmarks/parity.py

Each built-in candidate is trained on data that is on every machine: scikit-learn's breast cancer, iris and diabetes sets
(numbers; with the first column cut into named categories where the name says so), the documentation strings of Python's
standard library (text: is this about networking or not?) and a seeded daily series. A kind that no format can reproduce
fails the run.
"""

from __future__ import annotations

import importlib
import inspect
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.pipeline import Pipeline

from fairlead.bundle.exports import Trained, export
from fairlead.bundle.formats import FORMATS, MODEL_FILE
from fairlead.bundle.to_skops import trusted_types
from fairlead.model.candidates import BuiltIn, built_in, seeded
from fairlead.model.preprocess import preprocessing
from fairlead.records import ParityResult
from fairlead.schema import Batch, Field, Output, Schema, SeriesShape
from fairlead.schema.answers import answers_of
from fairlead.schema.encode import encode_text
from fairlead.schema.series import features_of
from fairlead.serve.backends import open_backend

REPEATS = 60
SMALL = {"n_estimators": 50, "max_depth": 10, "max_iter": 50, "n_clusters": 4, "n_components": 3}


@dataclass(frozen=True)
class Data:
    """Encoded rows of one kind, in random order."""

    name: str
    schema: Schema
    rows: Batch
    target: Any


# ---------------------------------------------------------------------------------------------------- data


def tabular(name: str, bunch: Any, output: Output, *, categories: bool = False) -> Data:
    """A scikit-learn set; with *categories* its first column becomes eight named groups, one of them unlisted."""
    order = np.random.default_rng(0).permutation(len(bunch.target))
    numbers, target = bunch.data[order].astype(np.float32), bunch.target[order]
    fields = [Field(column, "number") for column in bunch.feature_names]
    if categories:
        edges = np.quantile(numbers[:, 0], np.linspace(0, 1, 9)[1:-1])
        numbers[:, 0] = np.searchsorted(edges, numbers[:, 0]) - 1
        fields[0] = Field(fields[0].name, "category", values=tuple("abcdefg"), unknown="other")
    labels = target.astype(str) if output.task == "classification" else target.astype(float)
    return Data(name, Schema("benchmark", tuple(fields), output), Batch(numbers), labels)


def texts() -> Data:
    """Documentation of the standard library: networking, or mathematics and text."""
    networking = (
        "asyncio",
        "email",
        "http.client",
        "socket",
        "smtplib",
        "urllib.request",
        "ssl",
        "ftplib",
        "xmlrpc.client",
    )
    other = (
        "statistics",
        "decimal",
        "fractions",
        "random",
        "textwrap",
        "string",
        "difflib",
        "datetime",
        "pathlib",
        "zipfile",
    )
    pairs = [
        (text, label) for names, label in ((networking, "1"), (other, "0")) for text in documentation(names)
    ]
    order = np.random.default_rng(0).permutation(len(pairs))
    field = Field("doc", "text", case="lower")
    words = encode_text(field, [pairs[position][0] for position in order])
    schema = Schema("benchmark", (field,), Output("classification", classes=("0", "1"), positive="1"))
    rows = Batch(np.empty((len(pairs), 0), np.float32), (words,))
    return Data("library docs", schema, rows, np.array([pairs[position][1] for position in order]))


def documentation(modules: tuple[str, ...]) -> Iterator[str]:
    for name in modules:
        for _, thing in sorted(inspect.getmembers(importlib.import_module(name)), key=lambda pair: pair[0]):
            for _, inner in sorted(vars(thing).items()) if inspect.isclass(thing) else [("", thing)]:
                text = getattr(inner, "__doc__", None)
                if callable(inner) and isinstance(text, str) and len(text) > 40:
                    yield text


def series() -> Data:
    """Two years of two daily series with a weekly season."""
    shape = SeriesShape(("a", "b"), "day", window=28, horizon=7, season=7)
    random = np.random.default_rng(0)
    days = 730
    level = 100 + 20 * np.sin(np.arange(days) * 2 * np.pi / 7) + random.normal(0, 5, (2, days))
    rows = [(key, end, step) for key in (0, 1) for end in range(28, days - 7, 3) for step in (1, 4, 7)]
    random.shuffle(rows)
    keys, ends, steps = (np.array(part) for part in zip(*rows, strict=True))
    history = np.stack([level[key, end - 28 : end] for key, end in zip(keys, ends, strict=True)])
    at = np.datetime64("2023-01-01", "s") + (ends - 1) * np.timedelta64(86_400, "s")
    numbers = features_of(shape, keys.astype(float), at, history, steps.astype(np.int64))
    schema = Schema("benchmark", (), Output("forecast"), series=shape)
    return Data("daily series", schema, Batch(numbers), level[keys, ends + steps - 1])


def cases() -> Iterator[tuple[Data, str, BuiltIn, dict[str, Any]]]:
    """Data, candidate name, catalogue entry and parameters."""
    two = Output("classification", classes=("0", "1"), positive="1", threshold=0.4)
    three = Output("classification", classes=("0", "1", "2"))
    value, groups = Output("regression"), Output("clustering", clusters=4)
    yield from catalogue(tabular("breast cancer", load_breast_cancer(), two))
    yield from catalogue(
        tabular("cancer + categories", load_breast_cancer(), two, categories=True), native=True
    )
    yield from catalogue(tabular("iris", load_iris(), three))
    yield from catalogue(texts())
    yield from catalogue(tabular("diabetes", load_diabetes(scaled=False), value))
    yield from catalogue(
        tabular("diabetes + categories", load_diabetes(scaled=False), value, categories=True), native=True
    )
    yield from catalogue(series(), native=True)
    yield from catalogue(tabular("iris", load_iris(), groups))


def catalogue(data: Data, *, native: bool = False) -> Iterator[tuple[Data, str, BuiltIn, dict[str, Any]]]:
    for name, entry in built_in(data.schema.output.task, texts=bool(data.schema.texts)).items():
        known = entry.make(data.schema, {}).get_params()
        parameters = {
            parameter: size for parameter, size in SMALL.items() if parameter in known and name != "logistic"
        }
        yield data, name, entry, parameters
        if native and name == "hist_gradient_boosting":
            yield data, f"{name}, native", entry, parameters | {"native_categories": True}


# ------------------------------------------------------------------------------------------------ measuring


def train(data: Data, entry: BuiltIn, parameters: dict[str, Any], file: Path) -> Trained:
    """Fit on three quarters, keep the model as the model stage does."""
    features = preprocessing(data.schema, entry.recipe)
    model = seeded(entry.make(data.schema, dict(parameters)), 0)
    pipeline = Pipeline([*([] if features is None else [("features", features)]), ("model", model)])
    cut = len(data.rows) * 3 // 4
    array = data.rows.as_array()
    pipeline.fit(array[:cut], None if data.schema.output.task == "clustering" else data.target[:cut])
    file.write_bytes(skops.io.dumps(pipeline))
    expected = answers_of(pipeline, data.schema.output.task, array[cut:])
    schema = data.schema
    if schema.output.task == "clustering":
        schema = schema.with_output(clusters=expected.shape[1])
    return Trained(file, pipeline, schema, (), None, data.rows.take(slice(cut, None)), expected)


def one_row_us(trained: Trained, name: Any, folder: Path) -> float:
    """Median time of one row in microseconds, by the back end that serves."""
    trusted = trusted_types(trained.file, ()) if name == "skops" else ()
    predict = open_backend(name, folder / MODEL_FILE[name], trained.schema, trusted)
    times = []
    for repeat in range(REPEATS):
        row = trained.heldout.take(slice(repeat % len(trained.heldout), repeat % len(trained.heldout) + 1))
        started = time.perf_counter()
        predict(row)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


def measure(
    data: Data, entry: BuiltIn, parameters: dict[str, Any]
) -> tuple[list[ParityResult], dict[str, float]]:
    """The parity table of one kind, and the time of one row in every format that agrees."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        trained = train(data, entry, parameters, folder / "trained.skops")
        exported = export(trained, folder, open_backend, all_formats=True, keep_all=True)
        agreeing = [result.format for result in exported.parity if result.outcome == "agrees"]
        return list(exported.parity), {
            name: one_row_us(trained, name, folder) for name in FORMATS if name in agreeing
        }


def cell(result: ParityResult, microseconds: dict[str, float]) -> str:
    """``3e-07  9 µs``; ``differs 0.23``; or why there is nothing to compare."""
    if result.outcome == "agrees":
        return f"{result.max_difference:.0e} {microseconds[result.format]:6.0f} µs"
    if result.max_difference is not None:
        return f"differs by {result.max_difference:.1e}"
    return "–" if result.outcome == "not supported" else result.reason[:40]


def main() -> int:
    """Print the table, a line for each kind as it is measured; 1 if some kind has no format."""
    warnings.simplefilter("ignore")
    line = "{:<22} {:<32} {:<8} {:<18} {:<18} {:<18} {:>6}"
    print(
        "largest difference from the trained model and median time of one row; `–`: the format cannot hold the model"
    )
    print(line.format("data", "candidate", "chosen", *FORMATS, "rows"))
    chosen, started = [], time.monotonic()
    for data, name, entry, parameters in cases():
        results, microseconds = measure(data, entry, parameters)
        chosen.append(next((result.format for result in results if result.outcome == "agrees"), "none"))
        cells = [cell(result, microseconds) for result in results]
        print(
            line.format(data.name, name, chosen[-1], *cells, max(result.rows for result in results)),
            flush=True,
        )
    counts = ", ".join(f"{name} {chosen.count(name)}" for name in (*FORMATS, "none"))
    print(f"{len(chosen)} kinds in {time.monotonic() - started:.0f} s; chosen: {counts}")
    return int("none" in chosen)


if __name__ == "__main__":
    sys.exit(main())
