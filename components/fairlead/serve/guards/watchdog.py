"""What a process cannot do for itself when it hangs or swells: be ended, so that it is started anew.

A model that never returns blocks the event loop or a thread of the pool for good, for Python can stop neither.
Whoever supervises the process (BentoML's arbiter, the kubelet) starts another as soon as this one is gone.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fairlead.serve.environment import Environment

logger = logging.getLogger("fairlead.serve")

BEATS = 10
"""Signs of life in the time that counts as hanging."""
LONGEST_BEAT = 5.0
"""Seconds. Memory is looked at as often."""


@dataclass(frozen=True)
class WatchSettings:
    """When a process is ended."""

    hang_seconds: float = 60.0
    """0: never."""
    memory_bytes: int = 0
    """Resident memory above which the process drains and ends; 0: no limit. The container's limit would end it
    in the middle of its requests."""

    @classmethod
    def from_environment(cls, env: Environment) -> Self:
        """Read ``FAIRLEAD_LIMIT_HANG``, ``FAIRLEAD_LIMIT_MEMORY_BYTES``. Raises ProjectError."""
        return cls(
            hang_seconds=env.number("FAIRLEAD_LIMIT_HANG", cls.hang_seconds, low=0.0),
            memory_bytes=env.whole("FAIRLEAD_LIMIT_MEMORY_BYTES", cls.memory_bytes, low=0),
        )


class Watchdog:
    """Ends the process if its event loop, or a thread of the pool, stops getting on.

    The loop sets a timer again and again that would end the process. The timer is ``faulthandler``'s, written
    in C: it goes off even if the code that hangs never lets go of the interpreter's lock, writes the stacks of
    all threads to stderr, and leaves with exit code 1. A process that was stopped (SIGSTOP) for longer counts as
    hanging too.
    """

    def __init__(
        self,
        settings: WatchSettings,
        *,
        longest: Callable[[], float] = lambda: 0.0,
        swollen: Callable[[], None] | None = None,
    ) -> None:
        """Watch by *settings*.

        Args:
            settings: The limits.
            longest: Seconds for which the oldest piece of work in a thread has been running.
            swollen: Called once when there is too much memory; by default the process sends itself SIGTERM,
                which drains it.
        """
        self._settings = settings
        self._longest = longest
        self._swollen = swollen or _terminate
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._beat(asyncio.get_running_loop())

    def stop(self) -> None:
        """End; what hangs from here on is left alone."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
            faulthandler.cancel_dump_traceback_later()

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        hang = self._settings.hang_seconds
        if hang and self._longest() < hang:
            faulthandler.dump_traceback_later(hang, exit=True, file=sys.stderr)
        self._look_at_memory()
        pause = min(hang / BEATS, LONGEST_BEAT) if hang else LONGEST_BEAT
        self._next = loop.call_later(pause, self._beat, loop)

    def _look_at_memory(self) -> None:
        limit = self._settings.memory_bytes
        if limit and (used := resident_bytes()) > limit:
            logger.error("%d bytes of memory are more than %d: this process drains and ends", used, limit)
            swollen, self._swollen = self._swollen, lambda: None
            swollen()


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def resident_bytes() -> int:
    """Memory that this process has in RAM now, shared pages included."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()
