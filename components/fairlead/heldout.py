"""Encoded rows that travel with a candidate, for stages that do not read the dataset.

``heldout.npz``: rows with the answers of the trained model, for whoever must prove that a copy answers alike.
``labelled.npz``: rows with what was true of them, for whoever must say how good another model is; only if asked for.

No pickle: texts are one UTF-8 JSON list, because numpy would keep objects only as pickles, and fixed-width text would take
four bytes for every character of the longest one in every row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.schema import Batch

MAX_ROWS = 5_000
"""Rows kept. Enough to meet every leaf that matters, small enough to travel."""


LABELLED = "labelled.npz"


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRows:
    """Rows of one split, and what was true of them. All arrays have one entry a row."""

    batch: Batch
    actual: NDArray[Any]
    """Class labels (object) or numbers (float64)."""
    groups: NDArray[Any] | None = None
    """Whose rows they are; rows of one group are drawn together."""
    scale: NDArray[np.float64] | None = None
    """Forecast: what MASE divides a row's error by."""

    def __len__(self) -> int:
        return len(self.batch)


def save_heldout(path: Path, batch: Batch, expected: NDArray[np.float64]) -> None:
    """Write the first :data:`MAX_ROWS` rows of *batch* and the model's answers to them (shape (rows, columns))."""
    few = batch.take(slice(0, MAX_ROWS))
    _save(path, {**_packed_batch(few), "expected": expected[:MAX_ROWS]})


def load_heldout(path: Path) -> tuple[Batch, NDArray[np.float64]]:
    """The inverse of :func:`save_heldout`.

    Raises:
        ValueError: The file holds pickled objects.
    """
    with np.load(path, allow_pickle=False) as arrays:
        count = sum(name.startswith("text_") for name in arrays.files)
        texts = tuple(_texts(arrays[f"text_{position}"]) for position in range(count))
        return Batch(arrays["numbers"], texts), arrays["expected"]


def save_labelled(path: Path, splits: Mapping[str, LabelledRows]) -> None:
    """Write rows by the name of their split."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, rows in splits.items():
        parts = {**_packed_batch(rows.batch), "actual": _packed(rows.actual)}
        parts |= {} if rows.groups is None else {"groups": _packed(rows.groups)}
        parts |= {} if rows.scale is None else {"scale": rows.scale}
        arrays |= {f"{name}/{part}": values for part, values in parts.items()}
    _save(path, arrays)


def load_labelled(path: Path) -> dict[str, LabelledRows]:
    """The inverse of :func:`save_labelled`.

    Raises:
        ValueError: The file holds pickled objects.
    """
    with np.load(path, allow_pickle=False) as arrays:
        splits: dict[str, dict[str, NDArray[Any]]] = {}
        for name in arrays.files:
            split, _, part = name.partition("/")
            splits.setdefault(split, {})[part] = arrays[name]
    return {split: _labelled(parts) for split, parts in splits.items()}


def _labelled(parts: Mapping[str, NDArray[Any]]) -> LabelledRows:
    count = sum(name.startswith("text_") for name in parts)
    texts = tuple(_texts(parts[f"text_{position}"]) for position in range(count))
    groups = _unpacked(parts["groups"]) if "groups" in parts else None
    return LabelledRows(
        Batch(parts["numbers"], texts), _unpacked(parts["actual"]), groups, parts.get("scale")
    )


def _save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub takes its own keyword for one of ours


def _packed_batch(batch: Batch) -> dict[str, NDArray[Any]]:
    texts = {f"text_{position}": _packed(text) for position, text in enumerate(batch.texts)}
    return {"numbers": batch.numbers, **texts}


def _packed(values: NDArray[Any]) -> NDArray[Any]:
    """Objects as the bytes of a JSON list, numbers as they are."""
    if values.dtype != object:
        return values
    return np.frombuffer(json.dumps(values.tolist()).encode(), dtype=np.uint8)


def _unpacked(stored: NDArray[Any]) -> NDArray[Any]:
    return _texts(stored) if stored.dtype == np.uint8 else stored


def _texts(stored: NDArray[Any]) -> NDArray[np.object_]:
    if stored.dtype != np.uint8:  # an array of fixed-width text is as good, only larger
        return stored.astype(object)
    texts = json.loads(stored.tobytes())
    column = np.empty(len(texts), dtype=object)
    column[:] = texts
    return column
