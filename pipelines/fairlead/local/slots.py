"""Two slots on a laptop: Bento processes that follow the release driver's Deployments, as pods do in a cluster.

What a controller, a kubelet and a gateway's controller do there is one step here, taken several times a second: processes are
started and stopped so that each Deployment has as many as it asks for, their readiness is asked for and reported, and the router
is told the weights of the route. A process of an older template goes only when the new ones are ready. All of them end with this
process, however it ends.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fairlead.adapters.asking import ask
from fairlead.adapters.bentos import free_port, serve_command
from fairlead.adapters.load import end_with_parent
from fairlead.adapters.local_objects import NAMESPACE, LocalCluster, Object
from fairlead.atomic import write_text
from fairlead.release import names
from fairlead.release.objects import digest, pod_url
from fairlead.release.probe import READY_PATH

HOST = "127.0.0.1"
READY_SECONDS = 1.0
"""For the answer of a process to "are you ready?"."""
FAILURE_THRESHOLD = 3
"""As many unanswered questions in a row make a process unready, as Kubernetes has it."""
DRAIN_SECONDS = 2.0
"""For the router to see that a process leaves: until then it answers as before. Twenty looks of the router."""
STOP_SECONDS = 20.0
"""For a process to finish what it was asked before it is killed."""
CRASHED = names.PREFIX + "crashed"
"""Label of what is left of a process that ended by itself."""
PAUSES = (1.0, 2.0, 5.0, 10.0)
"""Seconds before a process that ended by itself is started again; the last one for all further times."""


Serve = Callable[..., tuple[list[str], dict[str, str]]]
"""A bundle's folder, ``port`` and ``host`` to a command and what it needs of environment."""


@dataclass
class Pod:
    """One process that serves a bundle."""

    name: str
    slot: str
    template: str
    """Digest of the template it was made from."""
    port: int
    process: subprocess.Popen[bytes]
    ready: bool = False
    unanswered: int = 0
    """Times in a row that it did not say that it is ready."""
    stopping_since: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def asked(self, *, answered: bool) -> None:
        """Ready from its first yes, and not any more when several are missing in a row: a busy machine takes its time."""
        self.unanswered = 0 if answered else self.unanswered + 1
        self.ready = self.stopping_since is None and (
            answered or (self.ready and self.unanswered < FAILURE_THRESHOLD)
        )


class LocalSlots:
    """The controllers of one model's slots."""

    def __init__(
        self,
        cluster: LocalCluster,
        folder: Path,
        clock: Callable[[], float] = time.monotonic,
        command: Serve = serve_command,
    ) -> None:
        """Follow the objects of *cluster*; logs and what the router reads go to *folder*.

        Args:
            cluster: The objects.
            folder: Of logs and routes.
            clock: In seconds, from anywhere.
            command: How to serve a bundle: as :func:`fairlead.adapters.bentos.serve_command`.
        """
        self._cluster = cluster
        self._folder = folder
        self._clock = clock
        self._command = command
        self._pods: list[Pod] = []
        self._numbers = itertools.count(1)
        self._failures: dict[str, list[float]] = {}
        """Template to the times at which processes of it ended by themselves."""
        self.routes = folder / "routes.json"
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        for item in cluster.find("Pod", NAMESPACE, names.MODEL):  # of a process that is gone
            cluster.remove("Pod", item["metadata"]["name"])

    def step(self) -> None:
        """Look at everything once, and do what is missing."""
        self._reap()
        for pod in self._pods:
            pod.asked(answered=is_ready(pod.port))
        for deployment in self._cluster.find("Deployment", NAMESPACE, names.MODEL):
            self._follow(deployment)
        self._report_pods()
        self._route()

    def close(self) -> None:
        """End all processes, those that serve last."""
        for pod in self._pods:
            pod.process.terminate()
        for pod in self._pods:
            try:
                pod.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pod.process.kill()
                pod.process.wait()

    # ------------------------------------------------------------------------------------------- processes

    def _follow(self, deployment: Object) -> None:
        """Make the processes of a slot what its Deployment says."""
        slot = deployment["metadata"]["labels"][names.SLOT]
        wanted, template = deployment["spec"]["replicas"], digest(deployment["spec"]["template"])
        mine = [pod for pod in self._pods if pod.slot == slot and pod.stopping_since is None]
        new = [pod for pod in mine if pod.template == template]
        if len(new) < wanted and self._may_start(template):
            self._start(deployment, slot, template)
        for pod in new[wanted:]:
            self._stop(pod)
        if wanted == 0 or sum(pod.ready for pod in new) >= wanted:
            for pod in mine:
                if pod.template != template:
                    self._stop(pod)
        self._report(deployment, slot, template)

    def _start(self, deployment: Object, slot: str, template: str) -> None:
        name, port = f"{deployment['metadata']['name']}-{next(self._numbers)}", free_port()
        spec = deployment["spec"]["template"]["spec"]["containers"][0]
        arguments, environment = self._command(Path(spec["bundle"]), port=port, host=HOST)
        said = {
            "FAIRLEAD_SLOT": slot,
            "FAIRLEAD_DRAIN_SECONDS": f"{DRAIN_SECONDS:g}",
            "FAIRLEAD_POD": name,
            "FAIRLEAD_POD_UID": f"{name}-{os.getpid()}-{time.time_ns()}",
        }
        for crashed in self._cluster.find("Pod", NAMESPACE, f"{names.SLOT}={slot},{CRASHED}"):
            self._cluster.remove("Pod", crashed["metadata"]["name"])
        with (self._folder / "logs" / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                arguments,
                env={**os.environ, **environment, **said, **spec.get("env", {})},
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - one thread starts processes
            )
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        self._pods.append(Pod(name, slot, template, port, process, labels=labels))

    def _stop(self, pod: Pod) -> None:
        """Have a process finish; no request is sent to it from here on."""
        pod.stopping_since, pod.ready = self._clock(), False
        self._route()
        pod.process.terminate()

    def _reap(self) -> None:
        """Forget processes that have ended, and kill those that do not."""
        for pod in list(self._pods):
            if pod.process.poll() is None:
                if pod.stopping_since is not None and self._clock() - pod.stopping_since > STOP_SECONDS:
                    pod.process.kill()
                continue
            self._pods.remove(pod)
            self._cluster.remove("Pod", pod.name)
            if pod.stopping_since is None:
                self._failures.setdefault(pod.template, []).append(self._clock())
                self._report_crash(pod)

    def _may_start(self, template: str) -> bool:
        """Whether it is time: what ends by itself again and again is started less and less often."""
        failures = self._failures.get(template, [])
        return not failures or self._clock() - failures[-1] >= PAUSES[min(len(failures), len(PAUSES)) - 1]

    # --------------------------------------------------------------------------------------------- reports

    def _report(self, deployment: Object, slot: str, template: str) -> None:
        mine = [pod for pod in self._pods if pod.slot == slot and pod.stopping_since is None]
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": len(mine),
            "updatedReplicas": sum(pod.template == template for pod in mine),
            "readyReplicas": sum(pod.ready for pod in mine),
        }
        self._cluster.report("Deployment", deployment["metadata"]["name"], status)

    def _report_pods(self) -> None:
        for pod in self._pods:
            container = {"name": "model", "ready": pod.ready, "state": {"running": {}}}
            metadata: Object = {"name": pod.name, "labels": dict(pod.labels)}
            if pod.stopping_since is not None:
                metadata["deletionTimestamp"] = "now"
            ports = [{"name": "http", "containerPort": pod.port}]
            self._cluster.put({
                "kind": "Pod", "metadata": metadata, "spec": {"containers": [{"name": "model", "ports": ports}]},
                "status": {"podIP": HOST, "containerStatuses": [container], "conditions": []},
            })  # fmt: skip

    def _report_crash(self, pod: Pod) -> None:
        """What is seen of a process that ended by itself, until the next one is started."""
        log = self._folder / "logs" / f"{pod.name}.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:] if log.exists() else []
        ended = {"exitCode": pod.process.returncode, "reason": "Error", "message": " ".join(lines)[-300:]}
        container = {
            "name": "model",
            "ready": False,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": ended},
        }
        labels = {**pod.labels, CRASHED: "true"}
        self._cluster.put({"kind": "Pod", "metadata": {"name": pod.name, "labels": labels}, "spec": {},
                           "status": {"containerStatuses": [container], "conditions": []}})  # fmt: skip

    # ---------------------------------------------------------------------------------------------- the router

    def _route(self) -> None:
        """Tell the router weights and addresses, and the route that it was told."""
        for route in self._cluster.find("HTTPRoute", NAMESPACE, names.MODEL):
            weights = weights_of(route)
            told = {"weights": weights, "pods": {
                slot: [pod.port for pod in self._pods if pod.slot == slot and pod.ready] for slot in names.SLOTS
            }}  # fmt: skip
            text = json.dumps(told, sort_keys=True)
            if not self.routes.exists() or self.routes.read_text(encoding="utf-8") != text:
                write_text(self.routes, text)
            accepted = {
                "type": "Accepted",
                "status": "True",
                "observedGeneration": route["metadata"]["generation"],
            }
            self._cluster.report(
                "HTTPRoute", route["metadata"]["name"], {"parents": [{"conditions": [accepted]}]}
            )


def weights_of(route: Object) -> dict[str, float]:
    """Slot to weight in percent, from the rules that the driver wrote."""
    references = [
        reference for rule in route.get("spec", {}).get("rules", []) for reference in rule["backendRefs"]
    ]
    total = sum(reference["weight"] for reference in references)
    return {
        reference["name"].rpartition("-")[2]: 100 * reference["weight"] / total
        for reference in references
        if total
    }


def is_ready(port: int) -> bool:
    """Whether the server on *port* wants traffic."""
    try:
        return ask(f"http://{HOST}:{port}{READY_PATH}", None, READY_SECONDS)[0] == 200
    except OSError:
        return False


def ask_locally(cluster: LocalCluster) -> Callable[[str, bytes | None, float], tuple[int, bytes]]:
    """A way to ask that finds the Service of a slot (``http://NAME.NAMESPACE.svc``) among the local processes."""

    def asked(url: str, body: bytes | None, seconds: float) -> tuple[int, bytes]:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host.endswith(".svc"):
            slot = host.partition(".")[0].rpartition("-")[2]
            ready = [
                item for item in cluster.find("Pod", NAMESPACE, f"{names.SLOT}={slot}") if _says_ready(item)
            ]
            if not ready:
                raise OSError(f"no process of slot {slot} is ready")
            url = pod_url(ready[0]) + parts.path
        return ask(url, body, seconds)

    return asked


def _says_ready(pod: Object) -> bool:
    statuses: Any = pod["status"]["containerStatuses"]
    return bool(statuses[0]["ready"])
