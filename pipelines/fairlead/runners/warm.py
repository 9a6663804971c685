"""A warm server: a process that has the heavy imports loaded and forks a child for every task.

A cold interpreter needs seconds to import the training stack; a fork of a process that has it needs milliseconds. This is
the standard library's ``forkserver`` with a list of modules to load first. Forking is safe only while the server has one
thread, so arithmetic libraries are told to use one thread before they are loaded, and a test counts the server's threads.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fairlead import telemetry
from fairlead.adapters.progress import Event, send_events_to
from fairlead.errors import FairleadError
from fairlead.flows.threads import ONE_THREAD

PRELOAD = (
    "fairlead.data.stage",
    "fairlead.model.stage",
    "fairlead.bundle.stage",
    "fairlead.adapters.connection",
    "fairlead.adapters.tracking",
    "fairlead.adapters.registry",
    "fairlead.adapters.bentos",
    "fairlead.adapters.sources",
    "mlflow",
    "mlflow.data.pandas_dataset",
    "mlflow.optuna.storage",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "alembic.command",
    "sqlalchemy.dialects.sqlite",
    "optuna",
    "pandas",
    "pyarrow.dataset",
    "pandera.pandas",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "matplotlib.backends.backend_svg",
    "skl2onnx",
    "treelite",
    "skops.io",
    "kfp.dsl.executor_main",
    "fairlead.cli.main",
)
"""What the stages import, so that no task has to, and the command line, because multiprocessing loads the caller's main
module again in every child. ONNX Runtime is left out, because loading it
starts a thread, and BentoML, because Bentos are built in a process of their own."""

_SAFE_TO_FORK = {
    **ONE_THREAD,  # also what keeps the server safe to fork
    **telemetry.OFF,
    # Arrow's allocator would start a thread of its own.
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    # kfp then imports only what a task needs.
    "_KFP_RUNTIME": "true",
}


_STARTING = threading.Lock()


class TaskCrashed(FairleadError):
    """A task ended without an outcome: a bug, or it was killed."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """A FairleadError on its way from a task to its runner."""

    record: str


@dataclass(frozen=True, slots=True)
class _Crash:
    """Any other exception, as text."""

    text: str


@dataclass(frozen=True, slots=True)
class _Result:
    value: Any


class WarmServer:
    """The server, one for this process. Starting it returns at once; the imports go on beside the caller."""

    def __init__(self, preload: Sequence[str] = PRELOAD) -> None:
        """Load *preload* in the server."""
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))

    def start(self) -> None:
        """Start the server if it does not run yet."""
        # The server keeps the environment it is started with. One thread at a time: of two that overlap, the later one would
        # take what the earlier has set for what was there before, and leave it behind.
        with _STARTING, _environment(_SAFE_TO_FORK):
            forkserver.ensure_running()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return int(forkserver._forkserver._forkserver_pid)  # type: ignore[attr-defined]  # noqa: SLF001

    def call(
        self,
        function: Callable[..., Any],
        *args: Any,
        environment: Mapping[str, str],
        log: Path,
        on_event: Callable[[Event], None] = lambda _event: None,
    ) -> Any:
        """Call *function* in a fork of the server and return what it returns.

        Args:
            function: Found by its module and name, so it must stand at the top of a module.
            args: Its arguments; they are pickled.
            environment: Added to the child's environment.
            log: The child's standard output and error are appended to this file.
            on_event: Gets the child's progress events, in the calling thread.

        Raises:
            FairleadError: What *function* raised.
            TaskCrashed: *function* raised something else, or the child died.
        """
        self.start()
        receiving, sending = self._context.Pipe(duplex=False)
        child = self._context.Process(
            target=_serve_call, args=(function, args, dict(environment), str(log), sending), daemon=False
        )
        child.start()
        sending.close()
        try:
            outcome = _outcome(receiving, on_event)
        except BaseException:
            child.terminate()
            raise
        finally:
            child.join()
        match outcome:
            case _Result(value):
                return value
            case _Failure(record):
                raise FairleadError.from_json(record)
            case _Crash(text):
                raise TaskCrashed(text, hint=f"The whole log: {log}")
            case _:
                raise TaskCrashed(
                    f"the task's process ended with code {child.exitcode}", hint=f"The whole log: {log}"
                )


def _outcome(receiving: Connection, on_event: Callable[[Event], None]) -> _Result | _Failure | _Crash | None:
    """Pass events on until the outcome comes; None if the child dies without one."""
    while True:
        try:
            message = receiving.recv()
        except EOFError:
            return None
        if isinstance(message, Event):
            on_event(message)
        else:
            return message  # type: ignore[no-any-return]


def _serve_call(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    environment: dict[str, str],
    log: str,
    sending: Connection,
) -> None:
    """The child's whole life."""
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    logging.captureWarnings(capture=True)
    send_events_to(sending.send)
    try:
        sending.send(_Result(function(*args)))
    except FairleadError as error:
        traceback.print_exc()
        sending.send(_Failure(error.to_json()))
        sys.exit(error.exit_code)
    except BaseException as error:
        traceback.print_exc()
        sending.send(_Crash(f"{type(error).__name__}: {error}"))
        sys.exit(70)


@contextmanager
def _environment(values: Mapping[str, str]) -> Any:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
