"""A small file that may change while the server runs, such as a key in a mounted Kubernetes Secret.

Kubernetes changes a mounted Secret by turning a symbolic link, so what changes is the file's inode, and no
watch on the path would see it. One ``stat`` a second does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from fairlead.errors import ProjectError

logger = logging.getLogger("fairlead.serve")

T = TypeVar("T")

CHECK_SECONDS = 1.0
"""How often the file is looked at, and so how long a withdrawn key still works."""


class Watched(Generic[T]):
    """What is in a file, by now. A changed file that cannot be used leaves what was read before."""

    def __init__(
        self,
        path: Path,
        parse: Callable[[bytes], T],
        *,
        broken: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the file for the first time.

        Args:
            path: The file.
            parse: Its bytes to what is wanted; raises ValueError.
            broken: Called once for each change that cannot be used.
            clock: Seconds that never go back.

        Raises:
            ProjectError: The file cannot be read or is not what it must be.
        """
        self._path = path
        self._parse = parse
        self._broken = broken
        self._clock = clock
        self._seen = self._signature()
        self._next = clock() + CHECK_SECONDS
        try:
            self._value = parse(path.read_bytes())
        except (OSError, ValueError) as cause:
            raise ProjectError(f"{path}: {cause}") from cause

    @property
    def value(self) -> T:
        """What the file held when it was last usable."""
        now = self._clock()
        if now >= self._next:
            self._next = now + CHECK_SECONDS
            self._read_again()
        return self._value

    def _read_again(self) -> None:
        seen = self._signature()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._value = self._parse(self._path.read_bytes())
        except (OSError, ValueError) as cause:
            self._broken()
            said = "%s changed and cannot be used, what it held before stays: %s"
            logger.error(said, self._path, cause)  # noqa: TRY400 - the traceback says nothing more
        else:
            logger.info("%s changed and was read again", self._path)

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
