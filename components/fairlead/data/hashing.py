"""Hashes of values and rows, the same in every process, whatever PYTHONHASHSEED says."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_KEYS = ("fairlead-lane--1", "fairlead-lane--2")  # siphash takes 16 bytes
_LANES = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_MISSING = np.uint64(0xD6E8FEB86659FD93)


def mixed(values: Hashes) -> Hashes:
    """splitmix64's finaliser (Steele, Lea, Flood 2014): a bijection under which close numbers end up far apart."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))


def seeded(rows: NDArray[np.int64], seed: int) -> Hashes:
    """A number for each row that depends on the row's ordinal and *seed* only: even over 0 to 2**64 - 1."""
    with np.errstate(over="ignore"):
        start = mixed(np.array([seed & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64) + _LANES[0])
        return mixed(rows.astype(np.uint64) * _LANES[1] + start)


def value_hashes(values: pa.Array, lane: int = 0) -> Hashes:
    """64 bits for each value of a canonical column. Numbers and times cannot collide, texts in the two lanes only by chance."""
    if pa.types.is_string(values.type):
        return _text_hashes(values, lane)
    bits = _bits(values)
    with np.errstate(over="ignore"):
        hashes = mixed(bits + _LANES[lane])
    hashes[np.asarray(pc.is_null(values))] = _MISSING
    return hashes


def row_hashes(columns: Iterable[pa.Array]) -> tuple[Hashes, Hashes]:
    """128 bits for each row, in two lanes; ten million rows collide with a probability of about 1e-25."""
    lanes: list[Hashes | None] = [None, None]
    for values in columns:
        for lane in (0, 1):
            hashes, before = value_hashes(values, lane), lanes[lane]
            with np.errstate(over="ignore"):
                lanes[lane] = hashes if before is None else mixed(before * _LANES[lane] + hashes)
    first, second = lanes
    if first is None or second is None:
        raise ValueError("a row without columns has no hash")
    return first, second


def _text_hashes(values: pa.Array, lane: int) -> Hashes:
    encoded = values.dictionary_encode()
    different = encoded.dictionary.to_numpy(zero_copy_only=False)
    hashes = np.append(pd.util.hash_array(different, hash_key=_KEYS[lane], categorize=False), _MISSING)
    found: Hashes = hashes[np.asarray(encoded.indices.fill_null(len(different)))]
    return found


def _bits(values: pa.Array) -> Hashes:
    """The value's own bits; zero and minus zero are the same number."""
    if pa.types.is_floating(values.type):
        numbers = np.asarray(values.fill_null(0.0)) + 0.0
        return numbers.view(np.uint64).copy()
    if pa.types.is_boolean(values.type):
        return np.asarray(values.cast(pa.uint8()).fill_null(0)).astype(np.uint64)
    return np.asarray(values.cast(pa.int64()).fill_null(0)).astype(np.int64).view(np.uint64).copy()
