from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from fairlead.bundle.exports import export, read_trained
from fairlead.errors import ExportError, IntegrityError
from fairlead.records import OpenModel
from fairlead.schema import Batch, Schema
from fairlead.serve.backends import open_backend

Candidates = Callable[[str], Any]


@pytest.mark.parametrize(
    ("kind", "chosen"),
    [
        ("linear", "onnx"), ("forest", "onnx"), ("regressor", "onnx"), ("text", "onnx"), ("kmeans", "onnx"),
        ("mixture", "onnx"), ("categorical", "treelite"), ("custom", "skops"),
    ],
)  # fmt: skip
def test_the_first_format_that_agrees_is_chosen(
    make: ModuleType, candidate_of: Candidates, tmp_path: Path, kind: str, chosen: str
) -> None:
    exported = make.export_candidate(candidate_of(kind), tmp_path)
    assert exported.format == chosen
    assert exported.file.is_file()
    assert [path.name for path in tmp_path.iterdir()] == [exported.file.name]


def outcomes(exported: Any) -> dict[str, str]:
    return {result.format: result.outcome for result in exported.parity}


def test_histogram_boosting_with_categories_is_refused_as_onnx(
    make: ModuleType, candidate_of: Candidates, tmp_path: Path
) -> None:
    """The conversion gives no error, and is wrong on most rows."""
    exported = make.export_candidate(candidate_of("categorical"), tmp_path)
    onnx = exported.parity[0]
    assert (onnx.format, onnx.outcome) == ("onnx", "disagrees")
    assert onnx.max_difference > 0.3


def test_later_formats_are_not_tried(make: ModuleType, candidate_of: Candidates, tmp_path: Path) -> None:
    exported = make.export_candidate(candidate_of("forest"), tmp_path)
    assert outcomes(exported) == {"onnx": "agrees", "treelite": "not tried", "skops": "not tried"}


def test_all_formats_are_tried_when_asked(make: ModuleType, candidate_of: Candidates, tmp_path: Path) -> None:
    exported = make.export_candidate(candidate_of("forest"), tmp_path, all_formats=True)
    assert outcomes(exported) == {"onnx": "agrees", "treelite": "agrees", "skops": "agrees"}
    assert exported.format == "onnx"


def rounding_up(only: str) -> OpenModel:
    """Opens models by the real back ends, but moves *only*'s inputs to the next float32: an off-by-one in a comparison."""

    def open_model(
        kind: str, file: Path, schema: Schema, trusted: Any = (), code: Path | None = None, /
    ) -> Any:
        predict = open_backend(kind, file, schema, trusted, code)
        if kind != only:
            return predict
        return lambda batch: predict(Batch(np.nextafter(batch.numbers, np.float32(np.inf)), batch.texts))

    return open_model


def test_thresholds_rounded_to_the_wrong_side_are_found_by_the_hard_rows_alone(
    candidate_of: Candidates, tmp_path: Path
) -> None:
    candidate = candidate_of("smooth")
    exported = export(read_trained(Path(candidate.path), ()), tmp_path, rounding_up("onnx"))
    onnx = exported.parity[0]
    assert onnx.outcome == "disagrees"
    assert "rows at quantiles, limits and split thresholds" in onnx.reason
    assert exported.format == "treelite"


def test_no_format_that_agrees_is_an_error_with_the_table(candidate_of: Candidates, tmp_path: Path) -> None:
    def nothing_right(*_: Any) -> Any:
        return lambda batch: np.full((len(batch), 2), 0.5)

    with pytest.raises(ExportError) as raised:
        export(read_trained(Path(candidate_of("forest").path), ()), tmp_path, nothing_right)
    assert [line.split()[:2] for line in raised.value.message.splitlines()[1:]] == [
        ["onnx", "disagrees"], ["treelite", "disagrees"], ["skops", "disagrees"],
    ]  # fmt: skip


def test_a_format_whose_back_end_fails_is_passed_over(candidate_of: Candidates, tmp_path: Path) -> None:
    def broken_onnx(kind: str, *rest: Any) -> Any:
        if kind == "onnx":
            raise RuntimeError("no such operator")
        return open_backend(kind, *rest)

    exported = export(read_trained(Path(candidate_of("forest").path), ()), tmp_path, broken_onnx)
    assert exported.format == "treelite"
    assert exported.parity[0].reason == "RuntimeError: no such operator"


def test_a_type_that_the_candidate_does_not_declare_is_refused(candidate_of: Candidates) -> None:
    with pytest.raises(IntegrityError, match=r"logs_of_project\.Logs"):
        read_trained(Path(candidate_of("custom").path), ())


def test_only_skops_trusts_anything(make: ModuleType, candidate_of: Candidates, tmp_path: Path) -> None:
    assert make.export_candidate(candidate_of("forest"), tmp_path).trusted == ()
    custom = make.export_candidate(candidate_of("custom"), tmp_path)
    assert custom.trusted == ("logs_of_project.Logs", "sklearn.tree._tree.Tree")


def test_expectations_of_another_model_are_no_agreement(candidate_of: Candidates, tmp_path: Path) -> None:
    """The candidate's folder holds the answers recorded at evaluation; a model file that gives others is not that model."""
    folder = tmp_path / "candidate"
    shutil.copytree(candidate_of("linear").path, folder)
    trained = read_trained(folder, ())
    with pytest.raises(ExportError, match="no format"):
        export(dataclasses.replace(trained, expected=trained.expected[::-1]), tmp_path, open_backend)


def test_a_model_that_cannot_read_what_the_contract_allows_is_an_error(
    make: ModuleType, tmp_path: Path
) -> None:
    made = make.linear()
    fields = tuple(dataclasses.replace(field, missing="allow") for field in made.schema.fields)
    made = dataclasses.replace(
        made,
        estimator=LogisticRegression(max_iter=5000),
        schema=dataclasses.replace(made.schema, fields=fields),
    )
    record = make.write_candidate(made, tmp_path / "candidate")
    with pytest.raises(ExportError, match="a row that the contract allows: Input X contains NaN"):
        make.export_candidate(record, tmp_path / "model")
