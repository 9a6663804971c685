"""A folder to a model that is ready to answer: read, verified, opened, warmed.

The folder holds ``manifest.json``, ``schema.json``, the model file, ``serving.json`` (:mod:`fairlead.serve.rules`),
``reference/`` and, if the model needs it, ``code/``::

    {"format_version": 1, "name": "fraud", "digest": "3f…", "format": "onnx", "model": "model.onnx",
     "trusted": [], "files": {"model.onnx": "SHA-256", "schema.json": "SHA-256", …}}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.errors import IntegrityError, NotFound
from fairlead.schema import Field, Schema
from fairlead.schema.direct import DirectReader
from fairlead.schema.encode import Encoder
from fairlead.schema.validate import Validator
from fairlead.serve.backends import Predict, open_backend
from fairlead.serve.backends.cpus import usable_cpus
from fairlead.serve.rules import Rules, read_rules

FORMAT_VERSION = 1
"""The version this runtime was written for. It reads the one before as well, so that a rollback needs no old
image."""

MANIFEST = "manifest.json"
SCHEMA = "schema.json"
CODE = "code"
_KEYS: tuple[tuple[str, type, str], ...] = (
    ("name", str, "string"),
    ("digest", str, "string"),
    ("format", str, "string"),
    ("model", str, "string"),
    ("trusted", list, "list"),
    ("files", dict, "object"),
)
"""What a manifest must have: key, type, and what JSON calls it. It may have more, for people."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle's folder says about itself."""

    name: str
    digest: str
    """SHA-256 of all that changes predictions or runtime, hexadecimal."""
    format: str
    model: str
    """The model file, relative to the folder."""
    trusted: tuple[str, ...]
    files: Mapping[str, str]
    """Relative path to SHA-256 of every file but the manifest."""

    @property
    def version(self) -> str:
        """The first 16 digits of the digest, which is also the Bento's version."""
        return self.digest[:16]


class LoadedModel:
    """A verified model that answers."""

    def __init__(self, manifest: Manifest, schema: Schema, predict: Predict, rules: Rules = Rules()) -> None:  # noqa: B008 - frozen
        self.name = manifest.name
        self.digest = manifest.digest
        self.version = manifest.version
        self.format = manifest.format
        self.schema = schema
        self.rules = rules
        self.providers_asked = rules.providers if manifest.format == "onnx" else ()
        """ONNX Runtime's execution providers as the project wants them, best first; none for other formats."""
        self.providers_used: tuple[str, ...] = getattr(predict, "providers", ())
        """Those that this machine has and that run, in the same order."""
        self.profile: Mapping[str, Any] = {}
        """What the features looked like in training, as ``reference/profile.json`` has it."""
        self.reference: Mapping[str, Any] = {}
        """What the answers looked like on held-out rows, as ``reference/predictions.json`` has it."""
        self.read = DirectReader(schema)
        """Request rows to a batch, or None where they need the checks."""
        self.validate = Validator(schema)
        """Request rows to columns and errors."""
        self.encode = Encoder(schema)
        """Validated columns to a batch."""
        self.answers = predict
        """A batch to answers, float64, in the shape of ``fairlead.schema.answers``."""


def load(folder: Path) -> LoadedModel:
    """Read, verify, open and warm the model in *folder*.

    Raises: NotFound: There is no manifest. IntegrityError: The format version is not one this runtime reads;
        a file is missing, changed or not listed; the model cannot be opened or its answers have the wrong
        shape.
    """
    manifest = read_manifest(folder)
    verify(folder, manifest)
    schema = read_schema(folder)
    code = folder / CODE
    rules = read_rules(folder)
    predict = open_backend(
        manifest.format, folder / manifest.model, schema, manifest.trusted, code if code.is_dir() else None,
        providers=rules.providers, cpus=usable_cpus(),
    )  # fmt: skip
    model = LoadedModel(manifest, schema, predict, rules)
    model.profile = _read_json(folder / "reference" / "profile.json")
    model.reference = _read_json(folder / "reference" / "predictions.json")
    _warm(model)
    return model


def read_manifest(folder: Path) -> Manifest:
    """The manifest of *folder*, checked for its version and its keys; errors as in :func:`load`."""
    path = folder / MANIFEST
    try:
        raw = json.loads(path.read_bytes())
    except FileNotFoundError as cause:
        raise NotFound(f"no bundle at {folder}: it has no {MANIFEST}") from cause
    except ValueError as cause:
        raise IntegrityError(f"{path}: not valid JSON: {cause}") from cause
    version = raw.get("format_version") if isinstance(raw, dict) else None
    if version not in (readable := range(max(1, FORMAT_VERSION - 1), FORMAT_VERSION + 1)):
        raise IntegrityError(
            f"{path}: format version is {version!r}, this runtime reads {', '.join(map(str, readable))}",
            hint="Use the fairlead version that built the bundle, or build the bundle again.",
        )
    for key, kind, said in _KEYS:
        if not isinstance(raw.get(key), kind):
            raise IntegrityError(f"{path}: {key} must be given and be a {said}")
    return Manifest(**{key: raw[key] for key, _, _ in _KEYS} | {"trusted": tuple(raw["trusted"])})


def verify(folder: Path, manifest: Manifest) -> None:
    """Check that *folder* holds exactly the listed files, unchanged.

    Raises:
        IntegrityError: Naming the first file that is missing, changed, outside the folder, or not listed.
    """
    for needed in (manifest.model, SCHEMA):
        if needed not in manifest.files:
            raise IntegrityError(f"{folder / MANIFEST}: {needed} is not among the files")
    for name, expected in sorted(manifest.files.items()):
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise IntegrityError(f"{folder / MANIFEST}: {name} is outside the folder")
        if not path.is_file():
            raise IntegrityError(f"{path} is missing")
        if _sha256(path) != expected:
            raise IntegrityError(f"{path} does not have the digest that {MANIFEST} states: {expected}")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in manifest.files and name != MANIFEST:
            raise IntegrityError(f"{path} is not listed in {MANIFEST}")


def read_schema(folder: Path) -> Schema:
    """The schema of *folder*; IntegrityError if it is not one."""
    try:
        return Schema.from_json((folder / SCHEMA).read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise IntegrityError(f"{folder / SCHEMA}: is no schema this runtime reads: {cause}") from cause


def _read_json(path: Path) -> Mapping[str, Any]:
    """What a reference file holds; nothing where there is none. IntegrityError if it is no object."""
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as cause:
        raise IntegrityError(f"{path}: not valid JSON: {cause}") from cause
    if not isinstance(record, dict):
        raise IntegrityError(f"{path}: must be an object")
    return record


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ------------------------------------------------------------------------------------------------- warm-up


def _warm(model: LoadedModel) -> None:
    """Score a made-up row: lazy set-up is paid now, and a model of the wrong shape never becomes ready."""
    answers = model.answers(model.encode(example_columns(model.schema)))
    expected = answer_width(model.schema)
    if answers.ndim != 2 or answers.shape != (1, expected):
        raise IntegrityError(
            f"{model.name}: the model answers {answers.shape} for one row, not {(1, expected)}"
        )


def answer_width(schema: Schema) -> int:
    """Columns of an answer: a class or a cluster each, or one value."""
    output = schema.output
    return {"classification": len(output.classes), "clustering": output.clusters}.get(output.task, 1)


def example_columns(schema: Schema) -> dict[str, list[Any]]:
    """One made-up row in the types of the schema, as columns. Patterns of texts are not looked at."""
    if schema.series is not None:
        history = [float(value % 7) for value in range(schema.series.window)]
        return {
            "key": ["".join(schema.series.keys[:1])],
            "at": ["2024-01-01"],
            "history": [history],
            "step": [1],
        }
    return {field.name: [_example(field)] for field in schema.fields}


def _example(field: Field) -> Any:
    match field.kind:
        case "number" | "integer":
            return min(max(1.0, -np.inf if field.minimum is None else field.minimum),
                       np.inf if field.maximum is None else field.maximum)  # fmt: skip
        case "boolean":
            return True
        case "category":
            return field.values[0] if field.values else ""
        case "datetime":
            return "2024-01-01T12:00:00"
        case "text":
            return "a text"
