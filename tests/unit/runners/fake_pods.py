"""Pods as processes of this machine: the command, the environment and the outcome are a pod's; the cluster is not there."""

import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import Any

from fairlead.runners.pods.cluster import Ended


class ProcessPods:
    """Fulfils ``Pods`` by starting each pod's container command as a process."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self.started: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.most_at_once = 0
        self._running = 0
        self._lock = threading.Lock()
        self.before: Callable[[Mapping[str, Any]], Ended | None] = lambda _pod: None
        """May answer in the place of a process: to evict, to fail."""

    def run(self, pod, on_line, patience) -> Ended:
        with self._lock:
            self.started.append(dict(pod))
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
        try:
            return self.before(pod) or self._process(pod, on_line)
        finally:
            with self._lock:
                self._running -= 1

    def delete(self, name: str) -> None:
        self.deleted.append(name)

    def _process(self, pod, on_line) -> Ended:
        container = pod["spec"]["containers"][0]
        declared = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
        ended = Ended(None)
        with tempfile.NamedTemporaryFile("r") as termination_log:
            environment = {
                **os.environ,
                **self.environment,
                **declared,
                "FAIRLEAD_TERMINATION_LOG": termination_log.name,
            }
            with subprocess.Popen(
                container["command"],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process:
                for line in process.stdout or ():
                    ended.lines.append(line.rstrip("\n"))
                    on_line(line.rstrip("\n"))
            ended.pod = status(pod, process.returncode, message=termination_log.read())
        return ended

    def tasks(self) -> list[str]:
        return [pod["metadata"]["labels"]["fairlead.dev/task"] for pod in self.started]


def status(pod: Mapping[str, Any], code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    ended = {"exitCode": code, "reason": "Completed" if code == 0 else reason, "message": message}
    return {
        **pod,
        "status": {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [{"name": "task", "state": {"terminated": ended}}],
        },
    }


def evicted(pod: Mapping[str, Any]) -> Ended:
    return Ended({**pod, "status": {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}})
