"""Work that would hold up the event loop, done beside it: one thread, and a short queue that refuses beyond."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fairlead.serve.http import Refused

T = TypeVar("T")

WAITING = 8
"""So many pieces of work may be under way or waiting; at a tenth of a second each, the last waits about a second."""


class Aside:
    """Runs pieces of work one after the other in a thread of their own.

    One thread, so that the rare and costly (explanations, GraphQL) cannot take the processor from predictions,
    however many ask at once; and apart from asyncio's own pool, whose threads large predictions need.
    """

    def __init__(self, name: str, *, waiting: int = WAITING) -> None:
        """Take up to *waiting* pieces of work; *name* is that of the thread, which starts with the first."""
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"fairlead-{name}")
        self._name = name
        self._most = waiting
        self._taken = 0

    async def run(self, work: Callable[[], T]) -> T:
        """The result of *work*, or what it raises.

        Raises:
            Refused: 503: so much is waiting that this would come too late.
        """
        if self._taken >= self._most:
            raise Refused(
                503,
                f"{self._most} requests for {self._name} are under way; ask again in a second",
                headers=((b"retry-after", b"1"),),
            )
        self._taken += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._taken -= 1
