"""What runs in a run's Job: ``python -m fairlead.runners.pods.orchestrate FOLDER``.

FOLDER holds the compiled flow and the request (a ConfigMap). KFP's own local orchestrator runs the graph; each task becomes a
pod. What happens is told as lines of JSON on standard output; the last one is the outcome. Killed and started again,
it joins the pods that still run and does not run again what has a record in the store.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from fairlead import telemetry
from fairlead.adapters.progress import Event
from fairlead.adapters.settings import STATE_FOLDER, Settings, require_in_task
from fairlead.adapters.store import open_store
from fairlead.errors import FairleadError, NotFound, ServiceError
from fairlead.records import Store
from fairlead.runners.events import RunEnded, TaskEnded, TaskStarted, Watcher, from_line, to_line
from fairlead.runners.local import TaskNames, orchestrate, told
from fairlead.runners.pods import artifacts
from fairlead.runners.pods.cluster import Cluster, Pods, check_ended
from fairlead.runners.pods.compiled import Executor, executors_of
from fairlead.runners.pods.manifests import FLOW_FILE, REQUEST_FILE, RunRequest, pod_of
from fairlead.runners.pods.reasons import Patience, PodDisrupted
from fairlead.runners.pods.task import FAILED_BEFORE, Assignment
from fairlead.runners.task import parse_command

DISRUPTIONS = 3
"""How often one task's pod may be evicted or preempted before the run fails."""
AT_ONCE = 64
"""Search workers that run side by side; as many as the project file allows."""
CANDIDATE = "model/candidate"
PIPELINE = "pipeline"
"""Whose notes those of the orchestrator itself are."""
SERVICE_SECONDS = 120.0
"""How long MLflow may be away when a run starts: it may be restarting."""


def main() -> int:
    """Run the request in the folder given as the one argument; returns the exit code."""
    folder = Path(sys.argv[1])
    telemetry.switch_off()
    tell = lines_to(sys.stdout)
    request = RunRequest.from_json((folder / REQUEST_FILE).read_text(encoding="utf-8"))
    try:
        require_in_task(os.environ)
        settings = Settings.from_environment(os.environ, Path(STATE_FOLDER))
        cluster = Cluster(request.namespace)
        uid = str(cluster.job(request.name)["metadata"]["uid"])
        flow = (folder / FLOW_FILE).read_text(encoding="utf-8")
        ended = run_request(request, flow, settings, cluster, tell, uid)
    except FairleadError as error:
        tell(RunEnded(error=error.to_json()))
        return error.exit_code
    except Exception as bug:
        traceback.print_exc()
        lines = "".join(traceback.format_exception(bug)[-3:])
        tell(RunEnded(error=FairleadError(f"the orchestrator crashed:\n{lines}").to_json()))
        return FairleadError.exit_code
    return FairleadError.from_json(ended.error).exit_code if ended.error else 0


def lines_to(stream: TextIO) -> Callable[[TaskStarted | TaskEnded | RunEnded | Event], None]:
    """A watcher that writes one line of JSON an event; bars too, because whoever follows the run draws them."""
    lock = threading.Lock()

    def tell(event: TaskStarted | TaskEnded | RunEnded | Event) -> None:
        with lock:  # not by print(), which KFP exchanges while a task runs
            stream.write(to_line(event) + "\n")
            stream.flush()

    return tell


def run_request(
    request: RunRequest,
    flow: str,
    settings: Settings,
    pods: Pods,
    tell: Callable[[TaskStarted | TaskEnded | RunEnded | Event], None],
    job_uid: str,
) -> RunEnded:
    """Run the compiled *flow* as one MLflow run, and tell of its end: with a bundle, or with the error of the task that failed.

    Raises:
        ProjectError: The flow asks for what pods of our own cannot obey; nothing was started.
        ServiceError: MLflow or the store cannot be reached.
    """
    started = time.monotonic()
    executors = executors_of(flow)
    store = open_store(settings.store)
    run_id = _pipeline_run(request, settings, store)
    tasks = TaskPods(request, executors, store, pods, tell, {"FAIRLEAD_PARENT_RUN": run_id}, job_uid)
    digest, error = "", None
    try:
        digest = str(_run_graph(flow, request, tasks))
    except FairleadError as failed:
        error = failed
    ended = RunEnded(
        digest, error.to_json() if error else "", time.monotonic() - started, dict(tasks.artifacts), run_id
    )
    try:
        _close(settings, store, ended, error)
    except ServiceError as away:  # the bundle is registered, or the reason known: neither is lost with MLflow
        tell(Event(PIPELINE, "note", f"the run stays open in MLflow: {away.message}"))
    tell(ended)
    return ended


def _run_graph(flow: str, request: RunRequest, tasks: TaskPods) -> Any:
    from kfp.components import load_component_from_text

    with tempfile.TemporaryDirectory(prefix="fairlead-run-") as scratch:
        folder = Path(scratch)
        (folder / "logs").mkdir()
        try:
            return orchestrate(
                load_component_from_text(flow), request.parameters, folder, tasks, at_once=AT_ONCE
            )
        except RuntimeError as cause:
            if tasks.failure is not None:
                raise tasks.failure from cause
            log = (folder / "logs" / "orchestrator.log").read_text(encoding="utf-8", errors="replace")
            raise FairleadError(f"{cause}\n" + "\n".join(log.splitlines()[-5:])) from cause


def _pipeline_run(request: RunRequest, settings: Settings, store: Store) -> str:
    """The MLflow run of the whole: opened once, however often the orchestrator is started."""
    from fairlead.adapters.tracking import check_reachable, open_parent_run

    key = f"run-{request.name}"
    known = artifacts.read_record(store, key)
    if known is not None:
        return str(known["mlflow_run"])
    check_reachable(settings.tracking_uri, patience=SERVICE_SECONDS)
    run_id = open_parent_run(
        settings, request.project, {"fairlead.run": request.name, "fairlead.runner": "pods"}
    )
    artifacts.write_record(store, key, {"mlflow_run": run_id})
    return run_id


def _close(settings: Settings, store: Store, ended: RunEnded, error: FairleadError | None) -> None:
    from fairlead.adapters.tracking import close_parent_run

    tags = {"fairlead.bundle": ended.bundle} if error is None else {"fairlead.failure": str(error)[:5000]}
    status = "FINISHED" if error is None else "FAILED"
    close_parent_run(
        settings, ended.mlflow_run, status, tags, _metrics(store, ended.artifacts.get(CANDIDATE))
    )


def _metrics(store: Store, candidate: str | None) -> Mapping[str, float]:
    """The metrics of the candidate, if the run came so far."""
    if candidate is None or candidate == artifacts.EMPTY:
        return {}
    with tempfile.TemporaryDirectory(prefix="fairlead-") as scratch:
        folder = Path(scratch) / "candidate"
        artifacts.fetch(store, candidate, folder)
        try:
            record = json.loads((folder / "candidate.json").read_text(encoding="utf-8"))
        except OSError:
            return {}
        return dict(record.get("metrics", {}))


class TaskPods:
    """Starts each task as a pod. Called by KFP's orchestrator in place of starting a process, from several threads."""

    def __init__(
        self,
        request: RunRequest,
        executors: Mapping[str, Executor],
        store: Store,
        pods: Pods,
        tell: Watcher,
        environment: Mapping[str, str],
        job_uid: str,
    ) -> None:
        """Make pods for the *executors* of one run."""
        self._request, self._executors, self._store, self._pods = request, executors, store, pods
        self._tell, self._environment, self._uid = tell, dict(environment), job_uid
        self._names, self._attempts = TaskNames(), Counter[str]()
        self._failures: dict[str, FairleadError] = {}
        """By the key of each task that failed and has not ended well since."""
        self.artifacts: dict[str, str] = {}
        """``task/output`` to URI, for all tasks that ended."""

    def __call__(self, full_command: list[str], env_vars: Mapping[str, str] | None = None) -> int:  # noqa: ARG002 - in the YAML
        """Run one task to its end; returns its exit code. The parameters' names are KFP's."""
        parsed = parse_command(full_command)
        executor = self._executors[parsed.function]
        given = json.loads(parsed.arguments[parsed.arguments.index("--executor_input") + 1])
        with told(self._names.next(parsed.function), self._tell) as task:
            salt = "" if executor.shares_results else self._request.name
            key = artifacts.task_key(executor.command, executor.container["image"], given, salt)
            try:
                output = self._output_of(executor, task.name, given, key)
            except FairleadError as error:
                self._failures[key] = error
                raise
            self._failures.pop(key, None)
            _write(output, Path(given["outputs"]["outputFile"]))
        return task.code

    @property
    def failure(self) -> FairleadError | None:
        """Why the first of the tasks that failed for good did."""
        return next(iter(self._failures.values()), None)

    def _output_of(
        self, executor: Executor, task: str, given: Mapping[str, Any], key: str
    ) -> Mapping[str, Any]:
        """What the task gave: from its record if it has finished before, else from a pod."""
        output = artifacts.read_record(self._store, key)
        if output is None:
            output = self._run(executor, task, given, key)
        else:
            self._note(task, "has finished before with the same inputs; its result is used")
        self._remember(executor.name, output)
        return output

    def _run(self, executor: Executor, task: str, given: Mapping[str, Any], key: str) -> dict[str, Any]:
        """Run pods until one ends for a reason of its own; those that the cluster took away are replaced.

        A task that failed is started again by KFP's orchestrator, as often as its YAML says.
        """
        disruptions = 0
        while True:
            self._attempts[key] += 1
            attempt = self._attempts[key]
            try:
                self._run_pod(executor, task, Assignment(tuple(executor.command), dict(given), key, attempt))
            except PodDisrupted as error:
                disruptions += 1
                if disruptions > DISRUPTIONS:
                    raise
                self._note(task, f"{error.message}; a new pod takes over ({disruptions} of {DISRUPTIONS})")
            except FairleadError:
                left = artifacts.read_record(self._store, f"{FAILED_BEFORE}{key}-{attempt}")
                self._remember(executor.name, left)
                raise
            else:
                return self._finished(task, key)

    def _finished(self, task: str, key: str) -> dict[str, Any]:
        output = artifacts.read_record(self._store, key)
        if output is None:
            raise NotFound(f"the pod of {task} ended well, but left no record in the store")
        return output

    def _note(self, task: str, text: str) -> None:
        self._tell(Event(task, "note", text))

    def _run_pod(self, executor: Executor, task: str, assignment: Assignment) -> None:
        """Run one pod; raises the reason if it failed. A pod that did its work is deleted, a failed one is kept to look at."""
        pod = pod_of(self._request, executor, task, assignment, self._environment, self._uid)
        ended = self._pods.run(
            pod, lambda line: self._line(task, line), Patience(self._request.pending_seconds)
        )
        check_ended(ended)
        self._pods.delete(pod["metadata"]["name"])

    def _line(self, task: str, line: str) -> None:
        event = from_line(line)
        if isinstance(event, Event):
            self._tell(replace(event, stage=task))

    def _remember(self, name: str, output: Mapping[str, Any] | None) -> None:
        for output_name, found in (output or {}).get("artifacts", {}).items():
            self.artifacts[f"{name}/{output_name}"] = found["artifacts"][0]["uri"]


def _write(output: Mapping[str, Any], file: Path) -> None:
    """Where KFP's orchestrator expects a task's executor output."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(output), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
