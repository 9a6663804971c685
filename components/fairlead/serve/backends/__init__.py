"""Model files to functions, one module a format. Each imports its own library, when it is opened."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import FairleadError, IntegrityError
from fairlead.schema import Batch, Schema

Predict = Callable[[Batch], NDArray[np.float64]]
"""Encoded rows to answers in the shape of ``fairlead.schema.answers``."""

FORMATS = ("onnx", "treelite", "skops")
"""In the order of their speed. Each is a module of this package with a function ``open_model``."""


def open_backend(
    format: str,  # noqa: A002 - the manifest's word
    file: Path,
    schema: Schema,
    trusted: Sequence[str] = (),
    code: Path | None = None,
    *,
    providers: Sequence[str] = (),
    cpus: float = 1.0,
) -> Predict:
    """Open a model file.

    Args:
        format: One of :data:`FORMATS`.
        file: The model file.
        schema: What goes in and what comes out.
        trusted: skops: types beyond its own list that the file may hold.
        code: skops: folder of the project's own package, put on the import path.
        providers: onnx: execution providers, best first; none: the CPU.
        cpus: onnx: CPUs that a heavy model may use.

    The function that is returned has an attribute ``providers``, those in use, if its runtime has such a thing.

    Raises:
        IntegrityError: There is no such format, or the file cannot be opened as what it claims to be.
    """
    if format not in FORMATS:
        raise IntegrityError(f"model format {format!r} is not one of {', '.join(FORMATS)}")
    backend = importlib.import_module(f"fairlead.serve.backends.{format}")
    try:
        own = {"providers": providers, "cpus": cpus} if format == "onnx" else {}
        predict: Predict = backend.open_model(file, schema, trusted, code, **own)
    except FairleadError:
        raise
    except Exception as cause:  # each library has errors of its own; all mean the same here
        raise IntegrityError(f"{file}: cannot be opened as {format}: {cause}") from cause
    return predict
