"""``heldout.npz``: encoded rows with the answers of the trained model, for whoever must prove that a copy answers alike.

No pickle: texts are one UTF-8 JSON list, because numpy would keep objects only as pickles, and fixed-width text would take
four bytes for every character of the longest one in every row.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.schema import Batch

MAX_ROWS = 5_000
"""Rows kept. Enough to meet every leaf that matters, small enough to travel."""


def save_heldout(path: Path, batch: Batch, expected: NDArray[np.float64]) -> None:
    """Write the first :data:`MAX_ROWS` rows of *batch* and the model's answers to them (shape (rows, columns))."""
    few = batch.take(slice(0, MAX_ROWS))
    arrays: dict[str, NDArray[Any]] = {"numbers": few.numbers, "expected": expected[:MAX_ROWS]}
    for position, text in enumerate(few.texts):
        arrays[f"text_{position}"] = np.frombuffer(json.dumps(text.tolist()).encode(), dtype=np.uint8)
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub takes its own keyword for one of ours


def load_heldout(path: Path) -> tuple[Batch, NDArray[np.float64]]:
    """The inverse of :func:`save_heldout`.

    Raises:
        ValueError: The file holds pickled objects.
    """
    with np.load(path, allow_pickle=False) as arrays:
        count = sum(name.startswith("text_") for name in arrays.files)
        texts = tuple(_texts(arrays[f"text_{position}"]) for position in range(count))
        return Batch(arrays["numbers"], texts), arrays["expected"]


def _texts(stored: NDArray[Any]) -> NDArray[np.object_]:
    if stored.dtype != np.uint8:  # an array of fixed-width text is as good, only larger
        return stored.astype(object)
    texts = json.loads(stored.tobytes())
    column = np.empty(len(texts), dtype=object)
    column[:] = texts
    return column
