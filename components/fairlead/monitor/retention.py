"""What is old enough to be deleted. Pure: names and a time in, names out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

_PARTITION = re.compile(r"[a-z]+/date=(\d{4}-\d\d-\d\d)/hour=(\d\d)/")


def ended_at(name: str) -> float | None:
    """The end of the hour that a file holds, Unix time; None for a file in no partition.

    >>> ended_at("predictions/date=2026-11-22/hour=06/4f.parquet"), ended_at("notes.txt")
    (1795330800.0, None)
    """
    found = _PARTITION.match(name)
    if found is None:
        return None
    try:
        began = datetime.strptime(f"{found[1]} {found[2]}", "%Y-%m-%d %H").replace(tzinfo=UTC)
    except ValueError:
        return None
    return began.timestamp() + 3600.0


def expired(names: Iterable[str], now: float, keep_days: float) -> list[str]:
    """The files in which every record is older than *keep_days*, oldest first.

    A whole hour goes at once, so a record is kept for *keep_days*, and for less than an hour more. Files that are in no partition
    are nobody's business here.

    >>> day = 86400.0
    >>> names = [f"predictions/date=1970-01-0{day}/hour=23/a.parquet" for day in (2, 1)] + ["notes.txt"]
    >>> expired(names, now=31 * day - 1, keep_days=30), expired(names, now=31 * day, keep_days=30)
    ([], ['predictions/date=1970-01-01/hour=23/a.parquet'])
    >>> len(expired(names, now=99 * day, keep_days=30))
    2
    """
    ends = {name: ended_at(name) for name in names}
    old = [(end, name) for name, end in ends.items() if end is not None and end <= now - keep_days * 86400.0]
    return [name for _, name in sorted(old)]
