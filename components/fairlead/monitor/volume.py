"""What a prediction log will weigh, before there is one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RECORD_BYTES = 240
"""Of a JSON line without inputs: names, id, time, two probabilities; measured."""
SMALLER = 6.0
"""How many times smaller Parquet is; 6.3 was measured with 30 fields, 20 of them numbers with two decimals that never repeat."""
_FIELD_BYTES = {"number": 24, "integer": 18, "boolean": 18, "category": 22, "datetime": 36, "text": 120}
"""Of a field's name and value in JSON. A text is anybody's guess."""
HASHED_BYTES = 48


@dataclass(frozen=True, slots=True)
class Volume:
    """A day of a log, in GB (10⁹ bytes)."""

    lines: float
    """Written to the pod's disk, and deleted once shipped."""
    parquet: float
    """Kept in the object store."""


def volume(requests_per_second: float, kinds: Sequence[str], hashed: int = 0, sample: float = 1.0) -> Volume:
    """GB a day of one-row requests.

    Args:
        requests_per_second: Of all pods together.
        kinds: The kind (``number``, ``text``, …) of each field that is kept as it is.
        hashed: How many fields are kept hashed.
        sample: Share of requests that are logged.

    >>> a_day = volume(100, ["number"] * 30)
    >>> round(a_day.lines, 1), round(a_day.parquet, 1)
    (8.3, 1.4)
    >>> volume(100, [], sample=0.5).lines == volume(50, []).lines
    True
    """
    record = RECORD_BYTES + sum(_FIELD_BYTES[kind] for kind in kinds) + hashed * HASHED_BYTES
    lines = requests_per_second * sample * 86_400 * record / 1e9
    return Volume(lines, lines / SMALLER)
