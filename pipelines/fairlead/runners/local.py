"""Run a flow on this machine with KFP's own local orchestrator.

The orchestrator decides what runs when, passes parameters and artifacts, and runs loops. How one task is run is the only
thing exchanged here, at one place: the function with which KFP's SubprocessRunner starts a command. That function is
private to the pinned kfp; a test fails if it changes.
"""

from __future__ import annotations

import builtins
import contextlib
import os
import shutil
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from fairlead import telemetry
from fairlead.adapters.progress import Event
from fairlead.adapters.settings import Settings
from fairlead.errors import FairleadError
from fairlead.flows.threads import ONE_THREAD
from fairlead.runners.events import TaskEnded, TaskStarted, Watcher
from fairlead.runners.task import parse_command, run_command
from fairlead.runners.warm import TaskCrashed, WarmServer

RunnerName = Literal["local", "reference"]

PAGES = {"data": "data/profile", "model": "model/evaluation", "bundle": "bundle/contents"}
"""Pages for people: name to the artifact, as task and output."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run of the training flow gave."""

    bundle_digest: str
    folder: Path
    """Everything the run left: artifacts by task, ``pages/``, ``logs/``."""
    seconds: float


def run_training(
    project: str,
    source_root: str,
    settings: Settings,
    folder: Path,
    watch: Watcher,
    runner: RunnerName = "local",
    server: WarmServer | None = None,
) -> RunResult:
    """Run the training flow.

    Args:
        project: The ``project`` value, ``PATH@sha256:DIGEST``.
        source_root: What a relative data source is relative to.
        settings: Handed to every task through its environment.
        folder: Where the run's artifacts, logs and pages go; made if it is missing.
        watch: Told of every task's start, progress and end. May be called from several threads, one at a time.
        runner: ``local`` forks tasks from *server*; ``reference`` starts an interpreter for each.
        server: A server that is warming up already; one is started if it is None.

    Raises:
        FairleadError: A stage failed; the stage's own error.
    """
    from fairlead.flows.training import training

    started = time.monotonic()
    arguments = {"project": project, "source_root": source_root}
    try:
        digest = run_flow(training, arguments, settings, folder, watch, runner, server)
    finally:
        _collect_pages(folder)
    return RunResult(str(digest), folder, time.monotonic() - started)


def run_flow(
    flow: Callable[..., Any],
    arguments: Mapping[str, Any],
    settings: Settings,
    folder: Path,
    watch: Watcher,
    runner: RunnerName = "local",
    server: WarmServer | None = None,
) -> Any:
    """Run any KFP pipeline of lightweight components and return its output; see :func:`run_training`."""
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    settings = replace(settings, failure_file=folder / "failure.json")
    tell = one_at_a_time(watch)
    if runner == "local":
        start = _warm_start(server or WarmServer(), settings, folder, tell)
    else:
        start = _cold_start(settings, folder, tell)
    try:
        return orchestrate(flow, arguments, folder, start)
    except RuntimeError as cause:
        raise _reason(settings, folder, cause) from cause


class StartTask(Protocol):
    """Runs one task's command with additional environment variables, and returns its exit code.

    The parameters' names are KFP's: it passes them by name.
    """

    def __call__(self, full_command: list[str], env_vars: Mapping[str, str] | None = None) -> int:
        """Run the command and wait for its end."""


def orchestrate(
    flow: Callable[..., Any],
    arguments: Mapping[str, Any],
    folder: Path,
    start: StartTask,
    *,
    at_once: int | None = None,
) -> Any:
    """Have KFP's orchestrator run the graph, with *start* for every task. Returns the pipeline's output.

    KFP runs two iterations of a loop at once, for the sake of the machine; *at_once* is for tasks that run elsewhere.
    """
    from kfp import local

    with (
        (folder / "logs" / "orchestrator.log").open("a") as log,
        contextlib.redirect_stdout(log),
        _starting(start),
        _loops(at_once),
    ):
        warnings.filterwarnings("ignore", message="You may be attemping to run", category=RuntimeWarning)
        warnings.filterwarnings("ignore", message=".* have no effect in the current local runner")
        local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder))
        return flow(**arguments).output


@contextlib.contextmanager
def _starting(start: StartTask) -> Iterator[None]:
    """The seam: KFP's SubprocessRunner starts its commands with *start*."""
    from kfp.local import subprocess_task_handler as handler

    original = handler.run_local_subprocess
    # KFP indents what tasks print by exchanging `print`; two tasks at once leave it exchanged.
    original_print = builtins.print
    handler.run_local_subprocess = start
    try:
        yield
    finally:
        handler.run_local_subprocess = original
        builtins.print = original_print


def _warm_start(server: WarmServer, settings: Settings, folder: Path, tell: Watcher) -> StartTask:
    server.start()
    names = TaskNames()

    def start(full_command: list[str], env_vars: Mapping[str, str] | None = None) -> int:
        parsed = parse_command(full_command)
        with told(names.next(parsed.function), tell) as task:
            server.call(
                run_command,
                parsed.source,
                parsed.arguments,
                environment={**settings.to_environment(), **(env_vars or {})},
                log=folder / "logs" / f"{task.name}.log",
                on_event=lambda event: tell(
                    replace(event, stage=task.name)
                ),  # two workers are one stage, two tasks
            )
        return task.code

    return start


def _cold_start(settings: Settings, folder: Path, tell: Watcher) -> StartTask:
    import subprocess

    names = TaskNames()

    def start(full_command: list[str], env_vars: Mapping[str, str] | None = None) -> int:
        with told(names.next(parse_command(full_command).function), tell) as task:
            with (folder / "logs" / f"{task.name}.log").open("ab") as log:
                whole = {
                    **os.environ,
                    **ONE_THREAD,
                    **telemetry.OFF,
                    **settings.to_environment(),
                    **(env_vars or {}),
                }
                ended = subprocess.run(full_command, env=whole, stdout=log, stderr=log, check=False)
            if ended.returncode:
                raise TaskCrashed(f"the task ended with code {ended.returncode}")
        return task.code

    return start


@contextlib.contextmanager
def _loops(at_once: int | None) -> Iterator[None]:
    """Let loops run *at_once* iterations side by side instead of KFP's two."""
    from kfp.local.orchestrator.enhanced_dag_orchestrator import ParallelExecutor

    original = ParallelExecutor.__init__

    def widened(self: Any, max_workers: int | None = None) -> None:
        original(self, max_workers)
        self.conservative_max = self.max_workers = at_once

    if at_once is not None:
        ParallelExecutor.__init__ = widened
    try:
        yield
    finally:
        ParallelExecutor.__init__ = original


class TaskNames:
    """Names tasks by function; a second one of the same function gets a number."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._lock = threading.Lock()

    def next(self, function: str) -> str:
        """The next task of *function*."""
        with self._lock:
            count = self._seen[function] = self._seen.get(function, 0) + 1
        return function if count == 1 else f"{function}-{count}"


@dataclass(slots=True)
class _Task:
    name: str
    code: int = 0


@contextlib.contextmanager
def told(name: str, tell: Watcher) -> Iterator[_Task]:
    """Tell of the start and the end of a task, and turn its failure into an exit code as KFP expects."""
    started, task = time.monotonic(), _Task(name)
    tell(TaskStarted(name))
    failed = ""
    try:
        yield task
    except FairleadError as error:
        failed, task.code = str(error), error.exit_code
    tell(TaskEnded(name, time.monotonic() - started, failed))


def one_at_a_time(watch: Watcher) -> Watcher:
    """*watch*, for callers in several threads."""
    lock = threading.Lock()

    def tell(event: TaskStarted | TaskEnded | Event) -> None:
        with lock:
            watch(event)

    return tell


def _reason(settings: Settings, folder: Path, cause: RuntimeError) -> FairleadError:
    """Why the run failed: what the failing stage left, else the end of its log."""
    if settings.failure_file is not None and settings.failure_file.exists():
        return FairleadError.from_json(settings.failure_file.read_text(encoding="utf-8"))
    logs = sorted((folder / "logs").glob("*.log"), key=lambda path: path.stat().st_mtime)
    tasks = [log for log in logs if log.name != "orchestrator.log"] or logs
    if not tasks:
        return TaskCrashed(str(cause))
    last_lines = tasks[-1].read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
    return TaskCrashed(
        f"{tasks[-1].stem} crashed:\n" + "\n".join(last_lines), hint=f"The whole log: {tasks[-1]}"
    )


def _collect_pages(folder: Path) -> None:
    """Copy the pages for people to ``pages/*.html``; artifacts have no file endings."""
    for name, artifact in PAGES.items():
        for found in sorted(folder.glob(f"fairlead-training-*/{artifact}")):
            (folder / "pages").mkdir(exist_ok=True)
            shutil.copyfile(found, folder / "pages" / f"{name}.html")
