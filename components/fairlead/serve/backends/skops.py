"""The trained scikit-learn pipeline itself, for what no faster format reproduces. Never pickle."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from fairlead.schema import Schema
from fairlead.schema.answers import answers_of
from fairlead.serve.backends import Predict


def open_model(file: Path, schema: Schema, trusted: Sequence[str], code: Path | None) -> Predict:
    """A fitted pipeline that reads :meth:`fairlead.schema.Batch.as_array`."""
    import skops.io  # noqa: PLC0415

    if code is not None and str(code) not in sys.path:
        sys.path.append(str(code))  # last, so that it can hide nothing that is already there
        sys.dont_write_bytecode = True  # a bundle's folder never changes
    estimator = skops.io.load(file, trusted=list(trusted))
    task = schema.output.task
    return lambda batch: answers_of(estimator, task, batch.as_array())
