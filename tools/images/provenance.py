"""Which commit an image is made from, and when that was."""

from __future__ import annotations

import os
import tomllib
from datetime import UTC, datetime

from tools.images.lock import ImageError, run
from tools.images.targets import ROOT


def version() -> str:
    """The project's version, which is the images' tag."""
    found: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return found


def revision() -> str:
    """The commit that is checked out, ``unknown`` in an unpacked archive."""
    try:
        return run(["git", "rev-parse", "HEAD"]).strip()
    except (ImageError, FileNotFoundError):
        return "unknown"


def epoch() -> int:
    """Seconds since 1970 that stand for "now" in what is built: ``SOURCE_DATE_EPOCH``, else the commit's date, else 1980.

    1980, because a wheel is a zip file and knows no earlier date.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    try:
        return int(run(["git", "log", "-1", "--format=%ct"]))
    except (ImageError, FileNotFoundError):
        return 315532800


def timestamp(seconds: int) -> str:
    """*seconds* since 1970 as RFC 3339 writes it.

    >>> timestamp(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
