"""A folder is served only if it is what its manifest says, and answers in the shape its schema says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead.errors import IntegrityError, NotFound
from fairlead.schema import Field, Output, Schema
from fairlead.serve.loading import load


@pytest.fixture
def folder(bundle_of: Callable[..., Path], fraud_folder: Path, fraud_onnx: bytes) -> Path:
    """A good bundle that the test may spoil."""
    schema = Schema.from_json((fraud_folder / "schema.json").read_bytes())
    return bundle_of(schema, fraud_onnx, "onnx")


def change_manifest(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_good_folder_is_loaded(folder: Path) -> None:
    model = load(folder)
    assert (model.name, model.format, model.version) == ("fraud", "onnx", model.digest[:16])


def test_a_loaded_model_answers_as_the_trained_one(folder: Path, fraud_model: Any) -> None:
    model = load(folder)
    rows = [{"amount": float(amount), "abroad": True, "country": "AT", "channel": "app", "at": "2024-01-06"}
            for amount in range(20)]  # fmt: skip
    columns, errors = model.validate(rows)
    batch = model.encode(columns)
    assert errors == []
    np.testing.assert_allclose(model.answers(batch), fraud_model.predict_proba(batch.as_array()), atol=1e-6)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no bundle at .*: it has no manifest\.json"):
        load(tmp_path)


@pytest.mark.parametrize("version", [0, 2, None, "1"])
def test_a_format_version_that_is_not_known_is_refused(folder: Path, version: Any) -> None:
    change_manifest(folder, format_version=version)
    with pytest.raises(IntegrityError, match=f"format version is {version!r}, this runtime reads 1"):
        load(folder)


@pytest.mark.parametrize("name", ["model.onnx", "schema.json", "reference/profile.json"])
def test_a_changed_file_is_refused(folder: Path, name: str) -> None:
    with (folder / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(IntegrityError, match=f"{name} does not have the digest"):
        load(folder)


@pytest.mark.parametrize("name", ["model.onnx", "schema.json", "reference/profile.json"])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(IntegrityError, match=f"{name} is missing"):
        load(folder)


def test_a_file_that_nobody_listed_is_refused(folder: Path) -> None:
    (folder / "code").mkdir()
    (folder / "code" / "evil.py").write_text("import os")
    with pytest.raises(IntegrityError, match=r"evil\.py is not listed"):
        load(folder)


def test_a_file_outside_the_folder_is_refused(folder: Path) -> None:
    files = json.loads((folder / "manifest.json").read_text())["files"]
    change_manifest(folder, files=files | {"../other": "0"})
    with pytest.raises(IntegrityError, match=r"\.\./other is outside the folder"):
        load(folder)


def test_a_model_that_is_not_listed_is_refused(folder: Path) -> None:
    change_manifest(folder, model="other.onnx")
    with pytest.raises(IntegrityError, match=r"other\.onnx is not among the files"):
        load(folder)


@pytest.mark.parametrize("key", ["name", "digest", "format", "model", "trusted", "files"])
def test_a_manifest_without_a_key_is_refused(folder: Path, key: str) -> None:
    change_manifest(folder, **{key: None})
    with pytest.raises(IntegrityError, match=f"{key} must be given and be a"):
        load(folder)


@pytest.mark.parametrize("text", ["{", "[]", ""], ids=["no JSON", "a list", "empty"])
def test_a_manifest_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(IntegrityError, match=r"manifest\.json"):
        load(folder)


def test_a_format_that_is_not_known_is_refused(folder: Path) -> None:
    change_manifest(folder, format="pickle")
    with pytest.raises(IntegrityError, match="model format 'pickle' is not one of onnx, treelite, skops"):
        load(folder)


@pytest.mark.parametrize("format", ["onnx", "treelite", "skops"])
def test_a_file_that_is_no_model_is_refused(bundle_of: Callable[..., Path], format: str) -> None:  # noqa: A002
    schema = Schema("m", (Field("a", "number"),), Output("regression"))
    with pytest.raises(IntegrityError, match=f"cannot be opened as {format}"):
        load(bundle_of(schema, b"not a model", format))


def test_a_graph_with_other_inputs_is_refused(bundle_of: Callable[..., Path], fraud_onnx: bytes) -> None:
    schema = Schema("m", (Field("a", "number"), Field("t", "text")), Output("regression"))
    with pytest.raises(IntegrityError, match="the schema needs"):
        load(bundle_of(schema, fraud_onnx, "onnx"))


def test_a_model_that_answers_in_another_shape_never_becomes_ready(
    bundle_of: Callable[..., Path], fraud_folder: Path, fraud_onnx: bytes
) -> None:
    schema = Schema.from_json((fraud_folder / "schema.json").read_bytes())
    with pytest.raises(IntegrityError, match=r"answers \(1, 2\) for one row, not \(1, 3\)"):
        load(bundle_of(schema.with_output(classes=("a", "b", "c")), fraud_onnx, "onnx"))


def test_a_later_schema_is_refused(bundle_of: Callable[..., Path], fraud_onnx: bytes) -> None:
    import dataclasses

    schema = dataclasses.replace(Schema("m", (Field("a", "number"),), Output("regression")), version=2)
    with pytest.raises(IntegrityError, match="is no schema this runtime reads: schema version is 2"):
        load(bundle_of(schema, fraud_onnx, "onnx"))
