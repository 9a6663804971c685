"""MLflow tracking: one tracker is one run.

Only ``MlflowClient`` is used, never the fluent API: the fluent API keeps its run in process-wide state and removes
``MLFLOW_RUN_ID`` from the environment at its first call.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from fairlead import telemetry
from fairlead.adapters.settings import TRACKING_URI, Settings
from fairlead.errors import ServiceError
from fairlead.records import Dataset, Workspace

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

_MAX_PARAM = 6000  # MLflow's limit on the length of a parameter
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "7",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""How MLflow's own client bears with a server that is away, unless the environment says otherwise.

It tries again after 0, 2, 4, 8, 16, 32 and 64 s: a server's pod that is restarted, or moved to another node, is back within
that. All requests are covered, uploads of artifacts among them. A request whose answer was lost is so made twice; what that
would double is taken care of here and in the registry."""
_ATTEMPT = "fairlead.attempt"
_BATCH = 100  # MLflow's limit on parameters and tags a request


def check_reachable(uri: str, seconds: float = 5.0, patience: float = 0.0) -> None:
    """Refuse to start work that could not be logged.

    Args:
        uri: MLflow's tracking URI.
        seconds: How long one question may take.
        patience: For how many seconds a server that does not answer is asked again. A person wants to know at once; something
            that runs alone outlasts a restart of the server.

    Raises:
        ServiceError: *uri* is a server that does not answer, or a database that cannot be connected to.
    """
    if not uri.startswith(("http://", "https://")):
        _check_database(uri)
        return
    until = time.monotonic() + patience
    while True:
        try:
            _check_server(uri, seconds)
        except ServiceError:
            if time.monotonic() >= until:
                raise
            time.sleep(2)
        else:
            return


def _check_server(uri: str, seconds: float) -> None:
    try:
        with urlopen(Request(f"{uri.rstrip('/')}/health"), timeout=seconds) as answer:  # noqa: S310 - scheme checked
            answer.read()
    except (URLError, OSError) as cause:
        reason = getattr(cause, "reason", cause)
        raise ServiceError(
            f"the MLflow server {uri} does not answer: {reason}",
            hint=f"Start it, or unset {TRACKING_URI} to log to .fairlead/mlflow.db.",
        ) from cause


def _check_database(uri: str) -> None:
    """Connect once to a database server. A SQLite file is made by MLflow, and other kinds are its own business."""
    if "://" not in uri or uri.startswith(("sqlite", "file", "databricks", "uc")):
        return
    import sqlalchemy

    try:
        engine = sqlalchemy.create_engine(uri)
        try:
            engine.connect().close()
        finally:
            engine.dispose()
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as cause:
        first_line = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
        shown = re.sub(r"(?<=:)[^:@/]+(?=@)", "***", uri)
        raise ServiceError(
            f"{TRACKING_URI} {shown} cannot be used: {first_line}",
            hint=f"Mend it, or unset {TRACKING_URI} to log to .fairlead/mlflow.db.",
        ) from cause


def client_of(settings: Settings) -> MlflowClient:
    """An MLflow client."""
    telemetry.switch_off()
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    # MLflow's optuna storage makes a client of its own and finds the server only here.
    os.environ[TRACKING_URI] = settings.tracking_uri
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every database it makes
    with mlflow_errors(settings.tracking_uri):
        return MlflowClient(settings.tracking_uri, registry_uri=settings.tracking_uri)


@contextlib.contextmanager
def mlflow_errors(uri: str) -> Iterator[None]:
    """Turn MLflow's and the database's exceptions into a ServiceError."""
    try:
        yield
    except _faults() as cause:
        first_line = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
        raise ServiceError(f"MLflow at {uri} failed: {first_line}") from cause


def _faults() -> tuple[type[Exception], ...]:
    from mlflow.exceptions import MlflowException

    try:
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:  # a client without the whole MLflow cannot use a database either
        return MlflowException, OSError
    return MlflowException, SQLAlchemyError, OSError


def create_run(client: MlflowClient, experiment: str, name: str | None, tags: Mapping[str, str]) -> str:
    """Start one run and return its id, even if the request is made twice because its first answer was lost."""
    attempt = uuid.uuid4().hex
    run_id = client.create_run(experiment, tags={**tags, _ATTEMPT: attempt}, run_name=name).info.run_id
    for run in client.search_runs([experiment], filter_string=f"tags.`{_ATTEMPT}` = '{attempt}'"):
        if run.info.run_id != run_id:
            client.delete_run(run.info.run_id)
    return str(run_id)


def _is_open(client: MlflowClient, run_id: str) -> bool:
    """Whether *run_id* is a run that can be logged to."""
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException as cause:
        if cause.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return False
        raise


def experiment_of(client: MlflowClient, settings: Settings, name: str) -> Experiment:
    """The project's experiment, made when it is missing. Two tasks may do so at once."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        # Somebody else may have been faster; then it is there.
        with contextlib.suppress(MlflowException):
            client.create_experiment(name, artifact_location=_artifacts_of(settings, name))
        found = client.get_experiment_by_name(name)
    if found is None:
        raise ServiceError(f"MLflow at {settings.tracking_uri} does not create the experiment {name!r}")
    return found


def _artifacts_of(settings: Settings, name: str) -> str | None:
    return f"{settings.artifact_root}/{name}" if settings.artifact_root else None


def lock_digest() -> str:
    """SHA-256 over name and version of every installed distribution: the environment a result was made in."""
    pins = sorted({f"{dist.name.lower()}=={dist.version}" for dist in distributions() if dist.name})
    return hashlib.sha256("\n".join(pins).encode()).hexdigest()


class MlflowTracker:
    """Fulfils :class:`fairlead.records.Tracker` with one MLflow run."""

    def __init__(
        self, client: MlflowClient, settings: Settings, run_id: str, stage: str, *, owned: bool
    ) -> None:
        """Write to the run *run_id*; *owned* says whether this tracker opened it and must close it."""
        self._client = client
        self._settings = settings
        self._owned = owned
        self._study: Any = None
        self.run_id = run_id
        self.stage = stage

    @classmethod
    def open(cls, settings: Settings, workspace: Workspace, stage: str) -> MlflowTracker:
        """Continue the run that ``MLFLOW_RUN_ID`` names, or start one (below ``FAIRLEAD_PARENT_RUN`` if that is set).

        One is started too if the named run is not there: it may have been deleted, or be of another server.
        """
        client = client_of(settings)
        with mlflow_errors(settings.tracking_uri):
            if settings.run_id and _is_open(client, settings.run_id):
                tracker = cls(client, settings, settings.run_id, stage, owned=False)
            else:
                experiment = experiment_of(client, settings, workspace.project.name)
                parent = {"mlflow.parentRunId": settings.parent_run} if settings.parent_run else {}
                run_id = create_run(client, experiment.experiment_id, stage, {**_origin(), **parent})
                tracker = cls(client, settings, run_id, stage, owned=True)
        tracker.tags(
            {"fairlead.stage": stage, "fairlead.code": workspace.digest, "fairlead.lock": lock_digest()}
        )
        return tracker

    def close(self, error: BaseException | None) -> None:
        """End the run as finished or, with the reason as a tag, as failed. A run somebody else opened stays open."""
        if error is not None:
            self.tags({"fairlead.failure": f"{type(error).__name__}: {error}"[:5000]})
        status = "FINISHED" if error is None else "FAILED"
        with mlflow_errors(self._settings.tracking_uri):
            if self._study is not None:
                _flush(self._study._storage)  # noqa: SLF001 - optuna has no public way to the storage
                self._client.set_terminated(self._study._study_id, status)  # noqa: SLF001
            if self._owned:
                self._client.set_terminated(self.run_id, status)

    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters as ``STAGE.NAME``: KFP logs a component's inputs under their bare names and must not clash."""
        from mlflow.entities import Param

        entries = [Param(f"{self.stage}.{name}", str(value)[:_MAX_PARAM]) for name, value in values.items()]
        self._log_batches(params=entries)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._log_batches(
            metrics=[Metric(name, float(value), now, step or 0) for name, value in values.items()]
        )

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        from mlflow.entities import RunTag

        self._log_batches(tags=[RunTag(name, str(value)) for name, value in values.items()])

    def _log_batches(self, **entries: list[Any]) -> None:
        [(kind, items)] = entries.items()
        with mlflow_errors(self._settings.tracking_uri):
            for start in range(0, len(items), _BATCH):
                self._client.log_batch(self.run_id, **{kind: items[start : start + _BATCH]})

    def artifact(self, path: Path, folder: str = "") -> None:
        """Log a file or a whole folder."""
        log = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
        with mlflow_errors(self._settings.tracking_uri):
            log(self.run_id, str(path), folder or None)

    def dataset(self, record: Dataset, sample: pd.DataFrame, context: str) -> None:
        """Log the snapshot as an input, with the schema of *sample*; the rows themselves stay where they are."""
        from mlflow.data.pandas_dataset import from_pandas
        from mlflow.entities import DatasetInput, InputTag

        described = from_pandas(sample, source=record.source, name="snapshot", digest=record.digest[:36])
        entry = DatasetInput(described._to_mlflow_entity(), [InputTag("mlflow.data.context", context)])  # noqa: SLF001
        with mlflow_errors(self._settings.tracking_uri):
            self._client.log_inputs(self.run_id, datasets=[entry])
        self.tags({"fairlead.data": record.digest})

    def trial(
        self, study: str, number: int, parameters: Mapping[str, Any], value: float | None, seconds: float
    ) -> None:
        """Add a finished trial to the optuna study *study*, which MLflow keeps as runs of the same experiment."""
        import optuna
        from optuna.trial import TrialState, create_trial

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if self._study is None:
            from mlflow.optuna.storage import MlflowStorage

            experiment = self._client.get_run(self.run_id).info.experiment_id
            with mlflow_errors(self._settings.tracking_uri):
                self._study = optuna.create_study(
                    storage=MlflowStorage(experiment_id=experiment), study_name=study, load_if_exists=True
                )
                # The study is a run too; below the search it is found where one looks for it.
                self._client.set_tag(self._study._study_id, "mlflow.parentRunId", self.run_id)  # noqa: SLF001
        choices = {
            name: optuna.distributions.CategoricalDistribution([_plain(v)]) for name, v in parameters.items()
        }
        trial = create_trial(
            params={name: _plain(v) for name, v in parameters.items()},
            distributions=choices,
            value=value,
            state=TrialState.FAIL if value is None else TrialState.COMPLETE,
            user_attrs={"number": number, "seconds": round(seconds, 3)},
        )
        with mlflow_errors(self._settings.tracking_uri):
            self._study.add_trial(trial)


def _flush(storage: Any) -> None:
    """Write what the study's storage still holds. Its own flush only warns when it cannot, and forgets what it held."""
    for run_id in list(storage._batch_queue):  # noqa: SLF001
        storage._flush_batch(run_id, raise_on_error=True)  # noqa: SLF001


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def open_parent_run(settings: Settings, project: str, tags: Mapping[str, str]) -> str:
    """Start the MLflow run of a whole pipeline run; returns its id."""
    client = client_of(settings)
    with mlflow_errors(settings.tracking_uri):
        experiment = experiment_of(client, settings, project)
        return create_run(client, experiment.experiment_id, tags.get("fairlead.run"), {**_origin(), **tags})


def close_parent_run(
    settings: Settings, run_id: str, status: str, tags: Mapping[str, str], metrics: Mapping[str, float]
) -> None:
    """End the run of a whole pipeline run with *status* (FINISHED, FAILED, KILLED).

    The model's *metrics* are logged here too, because MLflow's list of runs shows pipeline runs first.
    """
    client = client_of(settings)
    with mlflow_errors(settings.tracking_uri):
        for name, value in tags.items():
            client.set_tag(run_id, name, value)
        for name, figure in metrics.items():
            client.log_metric(run_id, name, figure)
        client.set_terminated(run_id, status)


def _origin() -> dict[str, str]:
    """Who and what made a run, in the tags that MLflow's pages show. A container's user may have no name."""
    user = os.environ.get("USER") or os.environ.get("LOGNAME")
    return {"mlflow.source.name": f"fairlead {version('fairlead')}"} | ({"mlflow.user": user} if user else {})


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One pipeline run as the registry of runs knows it."""

    run_id: str
    name: str
    started_ms: int
    status: str
    tags: Mapping[str, str]


def list_parent_runs(settings: Settings, project: str, last: int) -> list[RunSummary]:
    """The newest *last* pipeline runs of *project*; empty if it never ran."""
    client = client_of(settings)
    with mlflow_errors(settings.tracking_uri):
        experiment = client.get_experiment_by_name(project)
        if experiment is None:
            return []
        found = client.search_runs(
            [experiment.experiment_id],
            filter_string="tags.`fairlead.run` != ''",
            max_results=last,
            order_by=["attributes.start_time DESC"],
        )
    return [
        RunSummary(
            run.info.run_id,
            run.info.run_name or "",
            run.info.start_time,
            run.info.status,
            dict(run.data.tags),
        )
        for run in found
    ]
