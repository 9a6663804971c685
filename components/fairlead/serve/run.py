"""The application without BentoML: for tests, benchmarks, and a laptop that needs no Bento."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine, Mapping
from pathlib import Path

import uvloop

from fairlead.serve.assembly import Assembly
from fairlead.serve.loading import load

logger = logging.getLogger("fairlead.serve")


def run(folder: Path, settings: Mapping[str, str]) -> None:
    """Serve the model in *folder* until the process is told to stop.

    Probes are answered at once, predictions as soon as the model is loaded and warmed. SIGTERM drains; SIGINT
    or a second signal ends it at once.

    Args:
        folder: See :mod:`fairlead.serve.loading`.
        settings: ``FAIRLEAD_…`` variables; they go before those of the environment.

    Raises:
        ProjectError: A setting is wrong.
        ServiceError: The port cannot be had.
        FairleadError: The model cannot be loaded, see :func:`fairlead.serve.loading.load`.
    """
    assembly = Assembly({**os.environ, **settings})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(folder, assembly))


async def _serve(folder: Path, assembly: Assembly) -> None:
    await assembly.start()
    told = _Told()
    try:
        await assembly.attach(await asyncio.to_thread(load, folder))
        await told.once.wait()
        await _first(assembly.stop(), told.again.wait())
    finally:
        await assembly.end(at_once=told.again.is_set())


async def _first(*waiting: Coroutine[object, object, object]) -> None:
    """Return when one of these coroutines has ended."""
    tasks = [asyncio.create_task(one) for one in waiting]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


class _Told:
    """Signals that came in."""

    def __init__(self) -> None:
        self.once = asyncio.Event()
        self.again = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._come, number)

    def _come(self, number: signal.Signals) -> None:
        if self.once.is_set() or number == signal.SIGINT:
            self.again.set()
        self.once.set()
