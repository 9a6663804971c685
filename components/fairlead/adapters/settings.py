"""Where things are. Read from the environment once, at the edge; handed on as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead.errors import ServiceError

STATE_FOLDER = ".fairlead"
"""Holds everything a laptop keeps of a project: MLflow's database, snapshots, bundles, runs."""

TRACKING_URI = "MLFLOW_TRACKING_URI"
RUN_ID = "MLFLOW_RUN_ID"
PARENT_RUN = "FAIRLEAD_PARENT_RUN"
STORE = "FAIRLEAD_STORE"
FAILURE_FILE = "FAIRLEAD_FAILURE_FILE"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an adapter needs to know about its surroundings."""

    tracking_uri: str
    """MLflow server or database."""
    artifact_root: str | None
    """Where a new experiment keeps its artifacts; None leaves it to the MLflow server."""
    store: str
    """The content-addressed store: a folder, or ``s3://bucket/prefix``."""
    run_id: str | None = None
    """The MLflow run that was opened for this task by somebody else (KFP's MLflow plugin)."""
    parent_run: str | None = None
    """The MLflow run of the whole pipeline, under which this task opens its own."""
    failure_file: Path | None = None
    """Where a failing task leaves its reason for the runner."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], state: Path) -> Settings:
        """Read ``MLFLOW_TRACKING_URI``, ``MLFLOW_RUN_ID``, ``FAIRLEAD_*``; *state* is the folder for what is not set."""
        own_server = environment.get(TRACKING_URI)
        failure_file = environment.get(FAILURE_FILE)
        return cls(
            tracking_uri=own_server or f"sqlite:///{state.resolve() / 'mlflow.db'}",
            artifact_root=None if _is_server(own_server) else (state.resolve() / "artifacts").as_uri(),
            store=store_location(environment.get(STORE) or str(state / "store")),
            run_id=environment.get(RUN_ID) or None,
            parent_run=environment.get(PARENT_RUN) or None,
            failure_file=Path(failure_file) if failure_file else None,
        )

    def to_environment(self) -> dict[str, str]:
        """What a task's process must have in its environment to get the same settings."""
        named = {
            TRACKING_URI: self.tracking_uri,
            STORE: self.store,
            PARENT_RUN: self.parent_run,
            FAILURE_FILE: str(self.failure_file) if self.failure_file else None,
        }
        return {name: value for name, value in named.items() if value}


def require_in_task(environment: Mapping[str, str]) -> None:
    """Refuse to run a task that would log and store into its own container, which is gone when it ends.

    Raises:
        ServiceError: MLflow or the store is not named.
    """
    missing = [name for name in (TRACKING_URI, STORE) if not environment.get(name)]
    if missing:
        raise ServiceError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set, so nothing that this task does would last",
            hint="On a cluster they come from the ConfigMap fairlead-environment of the task's namespace.",
        )


def store_location(where: str) -> str:
    """A folder's absolute path; a URI as it is.

    >>> store_location("s3://models/team")
    's3://models/team'
    """
    return where if "://" in where else str(Path(where).resolve())


def _is_server(uri: str | None) -> bool:
    return bool(uri) and str(uri).startswith(("http://", "https://"))
