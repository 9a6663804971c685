"""The caller's side of a run as pods: create the Job, follow its log, fetch what a person wants to see.

The Job does not need the caller. Whoever can read its log follows it, from the start, as often as wanted.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fairlead.adapters.progress import Event
from fairlead.errors import FairleadError, NotFound, ProjectError, ServiceError
from fairlead.records import Store
from fairlead.runners.events import RunEnded, Watcher, from_line
from fairlead.runners.local import PAGES
from fairlead.runners.pods import artifacts
from fairlead.runners.pods.cluster import Cluster
from fairlead.runners.pods.compiled import Executor, executors_of, object_name
from fairlead.runners.pods.manifests import (
    PROJECT_LABEL,
    RUN_LABEL,
    RUNNER_ACCOUNT,
    RunRequest,
    config_map_of,
    job_of,
)
from fairlead.runners.pods.reasons import Patience, failure_of

NAMESPACE = "fairlead-runs"
COMPONENT = "app.kubernetes.io/component=run"
POLL_SECONDS = 1.0
GOING_SECONDS = 120
"""How long what a deleted Job owned may take to go: pods have half a minute to stop."""
_SHARED = "ReadWriteMany"
_ONE_NODE = "kubernetes.io/hostname"


@dataclass(frozen=True, slots=True)
class PodsRun:
    """One run as a list of runs shows it."""

    name: str
    project: str
    started: str
    """Time as Kubernetes writes it."""
    status: str
    reason: str = ""


def submit(cluster: Cluster, request: RunRequest, flow: str, image: str) -> None:
    """Start the run: a Job with the compiled *flow*, which goes on without the caller. Started twice, it is one run.

    Args:
        cluster: The namespace of the run.
        request: What to run.
        flow: The compiled YAML.
        image: Of the orchestrator (``tools``).

    Raises:
        ProjectError: The pods runner cannot obey the flow's settings; nothing was created.
        ServiceError: The cluster lacks what a run needs, or refuses it.
    """
    executors = executors_of(flow)
    _check_accounts(cluster, request)
    check_claims(executors.values(), cluster.claim)
    uid = cluster.create_job(job_of(request, image, _pull(executors.values())))
    cluster.create_config_map(config_map_of(request, flow, uid))


def restart(cluster: Cluster, name: str) -> None:
    """Make way for a run of the same name: delete its Job, if it has ended or is to be ended, and all that it owns.

    The new Job finds the records of the tasks that had finished, and does not run them again.

    Raises:
        ServiceError: Something of the old run does not go. The new one would take it for its own.
    """
    cluster.delete_job(name)
    until = time.monotonic() + GOING_SECONDS
    while left := _left(cluster, name):
        if time.monotonic() > until:
            raise ServiceError(
                f"{left} of the run {name} is still there after {GOING_SECONDS} s",
                hint=f"Look why with kubectl -n {cluster.namespace} describe, and start again.",
            )
        time.sleep(POLL_SECONDS)


def _left(cluster: Cluster, name: str) -> str:
    """What is still there of a run whose Job was deleted: the Job goes first, and the rest a moment later."""
    if cluster.job(name):
        return "the Job"
    if cluster.config_map(name):
        return "the ConfigMap"
    pods = cluster.pods(f"{RUN_LABEL}={name}")
    return f"the pod {pods[0]['metadata']['name']}" if pods else ""


def _check_accounts(cluster: Cluster, request: RunRequest) -> None:
    for name in (RUNNER_ACCOUNT, request.service_account):
        try:
            known = cluster.service_account(name) is not None
        except ServiceError:  # the caller may not read ServiceAccounts: the Job will say so if one is missing
            continue
        if not known:
            raise ServiceError(
                f"the namespace {cluster.namespace} has no ServiceAccount {name}",
                hint="The platform chart makes it in each of runs.namespaces; or name a namespace: --namespace.",
            )


def check_claims(executors: Iterable[Executor], claim_of: Any) -> None:
    """Refuse a volume that pods on several nodes cannot share, unless all are pinned to one node.

    Args:
        executors: All tasks.
        claim_of: Name to PersistentVolumeClaim as a mapping, None if there is none.

    Raises:
        ProjectError: Tasks would wait for ever for a volume that another node holds, or for one that does not exist.
    """
    listed = list(executors)
    nodes = {
        executor.platform.get("nodeSelector", {}).get("labels", {}).get(_ONE_NODE) for executor in listed
    }
    pinned = len(nodes) == 1 and None not in nodes
    names = {
        object_name("pvcMount", use) for executor in listed for use in executor.platform.get("pvcMount", ())
    }
    for name in sorted(names):
        claim = claim_of(name)
        if claim is None:
            raise ProjectError(
                f"run.workspace.claim is {name!r}, but there is no such claim in the namespace"
            )
        if _SHARED not in claim["spec"].get("accessModes", ()) and not pinned:
            raise ProjectError(
                f"run.workspace.claim is {name!r}, which is not {_SHARED}, and tasks may run on several nodes",
                hint=f"Pin them to one: run.node_selector: {{{_ONE_NODE}: NODE}}; or use run.workspace.size, a volume a task.",
            )


def _pull(executors: Iterable[Executor]) -> dict[str, Any]:
    """Pull policy and pull secrets of the tasks, which the orchestrator shares."""
    platform: Mapping[str, Any] = next((executor.platform for executor in executors), {})
    secrets = [{"name": object_name("imagePullSecret", use)} for use in platform.get("imagePullSecret", ())]
    return {"imagePullPolicy": platform.get("imagePullPolicy", "IfNotPresent"), "imagePullSecrets": secrets}


def follow(cluster: Cluster, name: str, watch: Watcher) -> RunEnded:
    """Tell *watch* what happens in the run until it ends, from its start on; returns the outcome, good or bad.

    Raises:
        NotFound: There is no such run in the namespace.
        FairleadError: The orchestrator could not run or left no outcome.
    """
    seen: set[str] = set()
    why = ""
    while True:
        job = cluster.job(name)
        if not job:
            raise NotFound(
                f"no run {name} in the namespace {cluster.namespace}",
                hint="`fairlead runs --on pods` lists them.",
            )
        new = [pod for pod in cluster.pods(f"job-name={name}") if pod["metadata"]["uid"] not in seen]
        for pod in new:
            seen.add(pod["metadata"]["uid"])
            outcome = _follow_pod(cluster, pod["metadata"]["name"], watch)
            if isinstance(outcome, RunEnded):
                return outcome
            why = f"\n{outcome}" if outcome else ""
        if not new and _job_reason(job):
            raise FairleadError(
                f"the run's Job failed: {_job_reason(job)}{why}", hint=_logs_hint(cluster, name)
            )
        if not new and job.get("status", {}).get("succeeded"):
            raise NotFound(f"the run {name} ended well, but the log that tells its outcome is gone",
                           hint="`fairlead models list` shows the bundle.")  # fmt: skip
        if not new:
            time.sleep(POLL_SECONDS)


def _follow_pod(cluster: Cluster, pod: str, watch: Watcher) -> RunEnded | FairleadError | None:
    """Follow one orchestrator to its outcome; or why it left none, in which case the Job may start another."""
    outcomes: list[RunEnded] = []

    def on_line(line: str) -> None:
        event = from_line(line)
        if isinstance(event, RunEnded):
            outcomes.append(event)
        elif event is not None:
            watch(event)

    ended = cluster.watch(pod, on_line, Patience())
    if outcomes:
        return outcomes[-1]
    reason = failure_of(ended.pod, list(ended.lines))
    if reason is not None:
        watch(Event("run", "note", "the orchestrator was stopped; the Job starts it again where it was"))
    return reason


def _job_reason(job: Mapping[str, Any]) -> str:
    conditions = job.get("status", {}).get("conditions") or ()
    failed = next(
        (found for found in conditions if found["type"] == "Failed" and found["status"] == "True"), None
    )
    return f"{failed.get('reason')}: {failed.get('message', '')}" if failed else ""


def _logs_hint(cluster: Cluster, name: str) -> str:
    return (
        f"kubectl -n {cluster.namespace} logs job/{name}; kubectl -n {cluster.namespace} describe job {name}"
    )


def list_runs(cluster: Cluster, project: str | None, last: int) -> list[PodsRun]:
    """The newest *last* runs whose Jobs are still there, of one project or of all."""
    selector = COMPONENT if project is None else f"{COMPONENT},{PROJECT_LABEL}={project}"
    return [_shown(job) for job in cluster.jobs(selector)[:last]]


def _shown(job: Mapping[str, Any]) -> PodsRun:
    labels, status = job["metadata"]["labels"], job.get("status", {})
    failed = _job_reason(job)
    state = (
        "failed"
        if failed
        else "finished"
        if status.get("succeeded")
        else "running"
        if status.get("active")
        else "pending"
    )
    return PodsRun(
        labels[RUN_LABEL], labels[PROJECT_LABEL], str(job["metadata"]["creationTimestamp"]), state, failed
    )


def fetch_results(ended: RunEnded, store: Store, folder: Path) -> None:
    """Fetch the pages and the candidate of a run to where a run on this machine leaves them."""
    for name, artifact in PAGES.items():
        page = folder / "pages" / f"{name}.html"
        _fetch(store, ended.artifacts.get(artifact), page)
    _fetch(
        store,
        ended.artifacts.get("model/candidate"),
        folder / "fairlead-training-pods" / "model" / "candidate",
    )


def _fetch(store: Store, uri: str | None, to: Path) -> None:
    if uri is None or uri == artifacts.EMPTY:
        return
    if to.is_dir():
        shutil.rmtree(to)
    to.unlink(missing_ok=True)
    artifacts.fetch(store, uri, to)


def stamp(now: datetime) -> str:
    """A time as part of a run's name."""
    return f"{now:%Y%m%d-%H%M%S}"
