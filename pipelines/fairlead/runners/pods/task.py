"""What runs in a task's pod: ``python -m fairlead.runners.pods.task ASSIGNMENT``.

It does what Kubeflow's launcher does: puts the input artifacts where the command finds them, runs the very command that KFP
compiled, and keeps what it wrote. It imports nothing of kfp, which is in the image without its dependencies.

A failure's reason is the last line of the log and the container's termination message. What was written before the failure (the
evaluation of a model that missed a gate) is kept for people to see, and no record is made, so that the task runs again.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fairlead.adapters.settings import FAILURE_FILE, STORE, require_in_task
from fairlead.adapters.store import open_store
from fairlead.errors import FairleadError
from fairlead.records import JsonRecord, Store
from fairlead.runners.pods import artifacts

EXECUTOR_INPUT = "{{$}}"
"""KFP's placeholder for the whole executor input in a compiled command."""
TERMINATION_LOG = "/dev/termination-log"
"""Where a container leaves its last words for the API; ``FAIRLEAD_TERMINATION_LOG`` names another place where there is none."""
FAILED_BEFORE = "failed-"
"""Before a key: what a failed attempt at the task had written."""


class CommandFailed(FairleadError):
    """The command ended without a reason of its own: a bug, or a signal. Its log says more than this could."""

    def __init__(self, code: int) -> None:
        """Keep the exit *code*; a signal's as a shell shows it."""
        self.code = code if code > 0 else 128 - code
        super().__init__(f"the command ended with code {self.code}")


@dataclass(frozen=True, slots=True)
class Assignment(JsonRecord):
    """What one pod has to do."""

    command: tuple[str, ...]
    """As KFP compiled it; one part is the placeholder for the executor input."""
    executor_input: dict[str, Any] = field(default_factory=dict)
    """KFP's own message, with URIs of the store for input artifacts."""
    key: str = ""
    """The record's name."""
    attempt: int = 1

    def to_line(self) -> str:
        """The assignment on one line, as a command's argument."""
        return json.dumps(asdict(self), sort_keys=True)


def main() -> int:
    """Do the assignment given as the one argument; returns the exit code."""
    assignment = Assignment.from_json(sys.argv[1])
    try:
        require_in_task(os.environ)
        store = open_store(os.environ[STORE])
        with _scratch(assignment) as scratch:
            perform(assignment, store, scratch)
    except CommandFailed as crashed:
        return crashed.code
    except FairleadError as error:
        _leave_reason(error)
        return error.exit_code
    return 0


@contextmanager
def _scratch(assignment: Assignment) -> Iterator[Path]:
    """A folder whose name is the same whenever the same work is done.

    The records of stages hold paths, and artifacts are named by their content.
    """
    work = artifacts.task_key(assignment.command, "", assignment.executor_input, "")
    folder = Path(tempfile.gettempdir()) / f"fairlead-task-{work[:16]}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def perform(assignment: Assignment, store: Store, scratch: Path) -> None:
    """Fetch inputs, run the command, keep outputs, write the record.

    Raises:
        FairleadError: The stage's own error; :class:`CommandFailed` if it left none.
    """
    placed = place(assignment.executor_input, scratch)
    fetch_inputs(assignment.executor_input, placed, store)
    reason = scratch / "failure.json"
    code = _run(_command(assignment.command, placed), {FAILURE_FILE: str(reason)})
    output = _kept(placed, store)
    if code == 0:
        artifacts.write_record(store, assignment.key, output)
        return
    artifacts.write_record(store, f"{FAILED_BEFORE}{assignment.key}-{assignment.attempt}", output)
    if reason.exists():
        raise FairleadError.from_json(reason.read_text(encoding="utf-8"))
    raise CommandFailed(code)


def place(executor_input: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """The executor input with paths below *root* instead of the URIs of the store.

    >>> given = {"inputs": {"artifacts": {"dataset": {"artifacts": [{"uri": "artifacts:ab"}]}}},
    ...          "outputs": {"artifacts": {}, "outputFile": "/elsewhere/executor_output.json"}}
    >>> placed = place(given, Path("/tmp/t"))
    >>> placed["inputs"]["artifacts"]["dataset"]["artifacts"][0]["uri"], placed["outputs"]["outputFile"]
    ('/tmp/t/inputs/dataset/0/dataset', '/tmp/t/outputs/executor_output.json')
    """
    placed: dict[str, Any] = json.loads(json.dumps(executor_input))
    for name, position, artifact in _listed(placed.get("inputs", {})):
        artifact["uri"] = str(root / "inputs" / name / str(position) / name)
    outputs = placed.setdefault("outputs", {})
    for name, _position, artifact in _listed(outputs):
        artifact["uri"] = str(root / "outputs" / name)
    for name, parameter in outputs.get("parameters", {}).items():
        parameter["outputFile"] = str(root / "outputs" / name)
    outputs["outputFile"] = str(root / "outputs" / "executor_output.json")
    return placed


def fetch_inputs(given: Mapping[str, Any], placed: Mapping[str, Any], store: Store) -> None:
    """Put every input artifact at its place."""
    pairs = zip(_listed(given.get("inputs", {})), _listed(placed.get("inputs", {})), strict=True)
    for (_name, _position, from_), (_, _, to) in pairs:
        artifacts.fetch(store, from_["uri"], Path(to["uri"]))


def _listed(side: Mapping[str, Any]) -> list[tuple[str, int, dict[str, Any]]]:
    """Name, position and message of each artifact of the inputs or the outputs."""
    return [
        (name, position, artifact)
        for name, found in sorted(side.get("artifacts", {}).items())
        for position, artifact in enumerate(found["artifacts"])
    ]


def _command(command: tuple[str, ...], placed: Mapping[str, Any]) -> list[str]:
    return [json.dumps(placed) if part == EXECUTOR_INPUT else part for part in command]


def _run(command: list[str], environment: Mapping[str, str]) -> int:
    """Run the command and pass a request to stop on to it; returns its exit code."""
    with subprocess.Popen(command, env={**os.environ, **environment}) as process:
        before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            return process.wait()
        finally:
            signal.signal(signal.SIGTERM, before)


def _kept(placed: Mapping[str, Any], store: Store) -> dict[str, Any]:
    """Keep the output artifacts; returns KFP's executor output with their URIs in the store."""
    outputs = placed["outputs"]
    written = Path(outputs["outputFile"])
    result: dict[str, Any] = json.loads(written.read_text(encoding="utf-8")) if written.exists() else {}
    for name, _position, artifact in _listed(outputs):
        kept = {**artifact, "uri": artifacts.keep(store, Path(artifact["uri"]))}
        said = result.setdefault("artifacts", {}).get(name, {"artifacts": [{}]})["artifacts"][0]
        kept["metadata"] = {**kept.get("metadata", {}), **said.get("metadata", {})}
        result["artifacts"][name] = {"artifacts": [kept]}
    return result


def _leave_reason(error: FairleadError) -> None:
    log = Path(os.environ.get("FAIRLEAD_TERMINATION_LOG", TERMINATION_LOG))
    if os.access(log, os.W_OK):
        log.write_text(_within_limit(error), encoding="utf-8")
    print(f"fairlead: task failed: {error}", file=sys.stderr, flush=True)  # noqa: T201


def _within_limit(error: FairleadError) -> str:
    """The error as JSON of at most 4096 bytes, which is what Kubernetes keeps."""
    text = error.to_json()
    if len(text.encode()) <= 4096:
        return text
    return type(error)(error.message[:800] + " …", hint=error.hint[:200]).to_json()


if __name__ == "__main__":
    sys.exit(main())
