"""Run the training flow on Kubeflow Pipelines, through kfp's own client.

The compiled YAML is uploaded as a version named by its content, so that the same flow is uploaded once; the run gets every
parameter explicitly, because the UI compares only those; and the run is followed to its end. It does not need the caller: one who
goes away leaves it running.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from fairlead.adapters.progress import Event
from fairlead.adapters.settings import Settings
from fairlead.errors import FairleadError, NotFound, ServiceError
from fairlead.runners.events import TaskEnded, TaskStarted, Watcher
from fairlead.spec.run import TASKS

PIPELINE = "fairlead-training"
ENDPOINT = "KF_PIPELINES_ENDPOINT"
"""kfp's own variable for the address of the API."""
PROJECTED_TOKEN = "/var/run/secrets/kubeflow/pipelines/token"  # noqa: S105 - a path
"""Where a pod has the token for Kubeflow Pipelines, as its documentation mounts it."""
POLL_SECONDS = 3.0
_RUNNING, _FAILED, _ENDED = (
    ("RUNNING",),
    ("FAILED", "CANCELED"),
    ("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED", "CACHED"),
)


class RunFailed(FairleadError):
    """A run on Kubeflow Pipelines failed, or was ended."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where Kubeflow Pipelines is, and who asks."""

    host: str
    """The API's address: ``https://…/pipeline`` or ``http://ml-pipeline.kubeflow:8888``."""
    namespace: str | None = None
    """The profile's namespace, in a multi-user installation."""
    token_file: Path | None = None
    """A bearer token. Default: the projected token of a ServiceAccount, where a pod has one."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A run that was started."""

    run_id: str
    link: str
    """Its page in the UI."""


class Kubeflow:
    """Kubeflow Pipelines at one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Connect.

        Raises:
            ServiceError: Nothing answers there, or it refuses the token.
        """
        _check_answers(endpoint.host)
        self._endpoint = endpoint
        with _api_errors():
            self._client = _client(endpoint)

    def submit(
        self,
        flow: str,
        parameters: Mapping[str, Any],
        *,
        project: str,
        name: str,
        service_account: str | None = None,
    ) -> Submitted:
        """Start a run.

        Args:
            flow: The compiled YAML.
            parameters: Value of every parameter.
            project: The project's name: the experiment.
            name: The run's.
            service_account: Identity of the run's pods; None leaves it to the backend.
        """
        with _api_errors():
            pipeline_id, version_id = self._version(flow)
            experiment = self._client.create_experiment(project, namespace=self._endpoint.namespace)
            run = self._client.run_pipeline(
                experiment.experiment_id,
                name,
                params=dict(parameters),
                pipeline_id=pipeline_id,
                version_id=version_id,
                service_account=service_account,
            )
        return Submitted(run.run_id, f"{self._endpoint.host.rstrip('/')}/#/runs/details/{run.run_id}")

    def _version(self, flow: str) -> tuple[str, str]:
        """The pipeline and its version with this very YAML, uploaded if they are not there yet."""
        version_name = f"{PIPELINE}-{hashlib.sha256(flow.encode()).hexdigest()[:16]}"
        with tempfile.TemporaryDirectory(prefix="fairlead-") as folder:
            file = Path(folder) / "flow.yaml"
            file.write_text(flow, encoding="utf-8")
            pipeline_id = self._client.get_pipeline_id(PIPELINE) or self._first_upload(file)
            known = next(
                (found for found in self._versions(pipeline_id) if found.display_name == version_name), None
            )
            if known is None:
                known = self._client.upload_pipeline_version(
                    str(file), pipeline_version_name=version_name, pipeline_id=pipeline_id
                )
        return pipeline_id, known.pipeline_version_id

    def _first_upload(self, file: Path) -> str:
        uploaded = self._client.upload_pipeline(
            str(file),
            pipeline_name=PIPELINE,
            description="From a project to a registered bundle.",
            namespace=self._endpoint.namespace,
        )
        return str(uploaded.pipeline_id)

    def _versions(self, pipeline_id: str) -> Iterator[Any]:
        token = ""
        while True:
            page = self._client.list_pipeline_versions(pipeline_id, page_token=token, page_size=100)
            yield from page.pipeline_versions or ()
            token = page.next_page_token or ""
            if not token:
                return

    def follow(
        self, run_id: str, watch: Watcher, *, poll: float = POLL_SECONDS, patience: float = 120.0
    ) -> Any:
        """Tell *watch* of the run's tasks until the run ends; returns the run as kfp shows it.

        Args:
            run_id: The run.
            watch: Told of tasks.
            poll: Seconds between two looks.
            patience: Seconds for which the API may fail to answer.

        Raises:
            RunFailed: The run failed or was ended; the failed task and its reason are named.
            ServiceError: The API did not answer for longer than *patience*.
        """
        tasks, silent_since = _Tasks(watch), None
        while True:
            try:
                with _api_errors():
                    run = self._client.get_run(run_id)
                silent_since = None
            except ServiceError as error:
                silent_since = silent_since or time.monotonic()
                if time.monotonic() - silent_since > patience or isinstance(error, Refused):
                    raise
                time.sleep(poll)
                continue
            tasks.look_at(run)
            if run.state in _ENDED:
                if run.state in _FAILED:
                    raise RunFailed(tasks.reason(run))
                return run
            time.sleep(poll)


class Refused(ServiceError):
    """The API answered, and said no."""


class _Tasks:
    """What is known of a run's tasks, to tell only what is new."""

    def __init__(self, watch: Watcher) -> None:
        self._watch = watch
        self._names: dict[str, str] = {}
        self._ended: set[str] = set()
        self._counts: dict[str, int] = {}
        self._failed: list[str] = []

    def look_at(self, run: Any) -> None:
        """Tell of tasks that started or ended since the last look. Loops, drivers and the root are not tasks of ours."""
        details = (run.run_details.task_details if run.run_details else None) or ()
        for task in details:
            if task.display_name not in TASKS:
                continue
            if task.state in (*_RUNNING, *_ENDED) and task.task_id not in self._names:
                self._start(task)
            if task.state in _ENDED and task.task_id not in self._ended:
                self._end(task)

    def _start(self, task: Any) -> None:
        count = self._counts[task.display_name] = self._counts.get(task.display_name, 0) + 1
        self._names[task.task_id] = task.display_name if count == 1 else f"{task.display_name}-{count}"
        self._watch(TaskStarted(self._names[task.task_id]))

    def _end(self, task: Any) -> None:
        self._ended.add(task.task_id)
        name = self._names[task.task_id]
        failed = _message(task.error) or f"it ended as {task.state}" if task.state in _FAILED else ""
        if failed:
            self._failed.append(f"{name}: {failed}")
        if task.state in ("SKIPPED", "CACHED"):
            self._watch(Event(name, "note", "its result was in the backend's cache"))
        self._watch(TaskEnded(name, _seconds(task), failed))

    def reason(self, run: Any) -> str:
        """Why the run failed: its tasks' reasons, and the run's own."""
        own = _message(run.error)
        said = [*self._failed, *([own] if own else [])]
        return f"the run {run.display_name} {run.state.lower()}" + "".join(f"\n{line}" for line in said)


def _message(error: Any) -> str:
    return str(error.message) if error is not None and error.message else ""


def _seconds(task: Any) -> float:
    if task.start_time is None or task.end_time is None:
        return 0.0
    return max(0.0, float((task.end_time - task.start_time).total_seconds()))


def bundle_of(settings: Settings, code: str, since_ms: int) -> str:
    """Digest of the bundle that a run gave: MLflow knows it, the API of Kubeflow Pipelines shows no outputs.

    Args:
        settings: Where MLflow is.
        code: Digest of the project's archive.
        since_ms: When the run was started, in milliseconds since 1970.

    Raises:
        NotFound: No bundle stage logged one for this archive since then.
    """
    from fairlead.adapters.tracking import client_of, mlflow_errors

    client = client_of(settings)
    with mlflow_errors(settings.tracking_uri):
        experiments = [found.experiment_id for found in client.search_experiments()]
        runs = client.search_runs(
            experiments,
            filter_string=f"tags.`fairlead.stage` = 'bundle' and tags.`fairlead.code` = '{code}' and "
            f"attributes.start_time >= {since_ms}",
            order_by=["attributes.start_time DESC"],
            max_results=10,
        )
    digest = next(
        (run.data.tags["fairlead.bundle"] for run in runs if "fairlead.bundle" in run.data.tags), ""
    )
    if not digest:
        raise NotFound(
            "the run ended well, but MLflow has no bundle of it",
            hint="A run that was served from the backend's cache gives the bundle of the run before: `fairlead models list`.",
        )
    return str(digest)


def _check_answers(host: str) -> None:
    """Fail at once where nothing listens; kfp's client would try for half a minute."""
    try:
        urlopen(f"{host.rstrip('/')}/apis/v2beta1/healthz", timeout=10)  # noqa: S310 - the caller's own address
    except HTTPError:
        return  # something answers; whether it accepts us, the client will see
    except (URLError, OSError, ValueError) as cause:
        reason = getattr(cause, "reason", cause)
        raise ServiceError(
            f"Kubeflow Pipelines does not answer at {host}: {reason}",
            hint="Name the API with --host, for example through "
            "`kubectl -n kubeflow port-forward service/ml-pipeline 8888` and --host http://127.0.0.1:8888.",
        ) from cause


def _client(endpoint: Endpoint) -> Any:
    import kfp
    from kfp.client import ServiceAccountTokenVolumeCredentials

    token = endpoint.token_file.read_text(encoding="utf-8").strip() if endpoint.token_file else None
    projected = Path(os.environ.get("KF_PIPELINES_SA_TOKEN_PATH", PROJECTED_TOKEN))
    credentials = (
        ServiceAccountTokenVolumeCredentials(str(projected)) if not token and projected.exists() else None
    )
    return kfp.Client(host=endpoint.host, existing_token=token, credentials=credentials)


@contextlib.contextmanager
def _api_errors() -> Iterator[None]:
    """Tell an error of the API as a ServiceError, and keep what kfp prints to itself."""
    from kfp_server_api import ApiException  # type: ignore[import-untyped]
    from urllib3.exceptions import HTTPError as TransportError

    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
            yield
    except ApiException as error:
        hints = {
            401: "Give a valid token: --token-file.",
            403: "The token's owner may not do that in this namespace: --namespace names a profile's.",
        }
        kind = Refused if 400 <= (error.status or 0) < 500 else ServiceError
        raise kind(
            f"Kubeflow Pipelines refused: {error.status} {_said(error)}", hint=hints.get(error.status, "")
        ) from error
    except (TransportError, TimeoutError) as error:
        raise ServiceError(f"Kubeflow Pipelines does not answer: {error}") from error


def _said(error: Any) -> str:
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else error.body
    return str(body or error.reason)[:500]
