"""Write a trained model in the first format that answers as it does, and keep the table of what was tried."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.bundle.formats import FORMATS, MODEL_FILE, Format, NotSupportedError
from fairlead.bundle.hard_rows import hard_rows
from fairlead.bundle.parity import compare, result_of
from fairlead.bundle.thresholds import split_thresholds
from fairlead.bundle.to_onnx import to_onnx
from fairlead.bundle.to_skops import load_trained, to_skops, trusted_types
from fairlead.bundle.to_treelite import first_line, to_treelite
from fairlead.errors import ExportError
from fairlead.heldout import load_heldout
from fairlead.records import OpenModel, ParityResult
from fairlead.schema import Batch, Schema
from fairlead.schema.answers import answers_of


@dataclass(frozen=True, slots=True)
class Trained:
    """A candidate's model and the rows it must be reproduced on."""

    file: Path
    """``model.skops`` of the candidate."""
    estimator: Any
    schema: Schema
    declared: Sequence[str]
    """Types of the project's own package inside the file."""
    code: Path | None
    """Folder of that package, if the model needs it."""
    heldout: Batch
    expected: NDArray[np.float64]
    """Answers to the held-out rows, recorded when the model was evaluated."""


@dataclass(frozen=True, slots=True)
class Export:
    """The chosen format, its file, and how every format did."""

    format: Format
    file: Path
    trusted: tuple[str, ...]
    parity: tuple[ParityResult, ...]


def read_trained(folder: Path, declared: Sequence[str]) -> Trained:
    """Read a candidate's folder. If the model needs the project's own package, it is imported from there.

    Raises:
        IntegrityError: The model file holds a type that the candidate does not declare.
    """
    schema = Schema.from_json((folder / "schema.json").read_bytes())
    heldout, expected = load_heldout(folder / "heldout.npz")
    file, code = folder / "model.skops", folder / "code"
    if code.is_dir() and str(code) not in sys.path:
        sys.path.append(str(code))
    estimator = load_trained(file, declared)
    return Trained(file, estimator, schema, declared, code if code.is_dir() else None, heldout, expected)


def export(
    trained: Trained,
    folder: Path,
    open_model: OpenModel,
    *,
    all_formats: bool = False,
    keep_all: bool = False,
) -> Export:
    """Try the formats in order, and keep the first that agrees.

    Args:
        trained: The model and its held-out rows.
        folder: Where the model file is written.
        open_model: Opens a model file by the code that will serve it.
        all_formats: Try the later formats too, for the table.
        keep_all: Keep the files of the other formats.

    Raises:
        ExportError: No format agrees.
    """
    hard = hard_rows(trained.schema, trained.heldout, split_thresholds(trained.estimator))
    attempt = _Attempt(trained, folder, open_model, hard, _ask(trained, hard))
    results: list[ParityResult] = []
    for name in FORMATS:
        agreed = any(result.outcome == "agrees" for result in results)
        results.append(_not_tried(name) if agreed and not all_formats else attempt.of(name))
    chosen = next(
        (name for name, result in zip(FORMATS, results, strict=True) if result.outcome == "agrees"), None
    )
    if chosen is None:
        raise ExportError("no format answers as the trained model does\n" + table_of(results), hint=_HINT)
    for name in FORMATS:
        if name != chosen and not keep_all:
            (folder / MODEL_FILE[name]).unlink(missing_ok=True)
    return Export(chosen, folder / MODEL_FILE[chosen], attempt.trusted(chosen), tuple(results))


_HINT = "If even skops disagrees, the candidate's folder was not written by the run that evaluated it: train again."


def _ask(trained: Trained, rows: Batch) -> NDArray[np.float64]:
    try:
        return answers_of(trained.estimator, trained.schema.output.task, rows.as_array())
    except Exception as cause:
        raise ExportError(
            f"the trained model fails on a row that the contract allows: {first_line(cause)}",
            hint="Give the contract the limits the model needs, or let the pipeline impute what may be missing.",
        ) from cause


@dataclass(frozen=True, slots=True)
class _Attempt:
    trained: Trained
    folder: Path
    open_model: OpenModel
    hard: Batch
    hard_expected: NDArray[np.float64]

    def of(self, name: Format) -> ParityResult:
        """Write, open and compare one format."""
        path = self.folder / MODEL_FILE[name]
        try:
            path.write_bytes(self.write(name))
            predict = self.open_model(name, path, self.trained.schema, self.trusted(name), self.trained.code)
            heldout, hard = predict(self.trained.heldout), predict(self.hard)
        except NotSupportedError as refusal:
            return ParityResult(name, "not supported", None, 0, str(refusal))
        except Exception as failure:
            return ParityResult(
                name, "disagrees", None, 0, f"{type(failure).__name__}: {first_line(failure)}"
            )
        output = self.trained.schema.output
        return result_of(
            name, compare(self.trained.expected, heldout, output), compare(self.hard_expected, hard, output)
        )

    def write(self, name: Format) -> bytes:
        """The model's bytes in one format."""
        writers: Mapping[Format, Callable[[], bytes]] = {
            "onnx": lambda: to_onnx(self.trained.estimator, self.trained.schema),
            "treelite": lambda: to_treelite(self.trained.estimator, self.trained.schema),
            "skops": lambda: to_skops(self.trained.file),
        }
        return writers[name]()

    def trusted(self, name: Format) -> tuple[str, ...]:
        """What opening the file may construct; only skops constructs anything."""
        return trusted_types(self.trained.file, self.trained.declared) if name == "skops" else ()


def _not_tried(name: str) -> ParityResult:
    return ParityResult(name, "not tried", None, 0, "an earlier format agrees")


def table_of(results: Sequence[ParityResult]) -> str:
    """The results as lines of text, for an error or a terminal.

    >>> print(table_of([ParityResult("onnx", "disagrees", 0.25, 600, "differs by 0.25 on row 7")]))
    onnx      disagrees      differs by 0.25 on row 7
    """
    return "\n".join(f"{one.format:<9} {one.outcome:<14} {one.reason}" for one in results)
