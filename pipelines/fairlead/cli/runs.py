"""``fairlead runs``: what ran, when and how it ended."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.options import Place, ProjectFolder, place_of
from fairlead.cli.show import say, table

NAME = "runs"
EXAMPLES = (
    "Examples:  fairlead runs   |   fairlead runs --last 5   |   fairlead runs --on pods   |   "
    "fairlead runs --on pods --follow NAME"
)


def command(
    project: ProjectFolder = Path(),
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    on: Annotated[
        str, typer.Option(help="mlflow: all runs that MLflow knows. pods: Jobs on a cluster.")
    ] = "mlflow",
    follow: Annotated[str | None, typer.Option(help="pods: follow the run of this name to its end.")] = None,
    namespace: Annotated[str, typer.Option(help="pods: where the runs are.")] = "fairlead-runs",
    context: Annotated[str | None, typer.Option(help="pods: the kubeconfig's context.")] = None,
) -> None:
    """List pipeline runs, newest first, with their outcome and bundle; or follow one that runs as pods."""
    from fairlead.errors import ProjectError

    if on not in ("mlflow", "pods"):
        raise ProjectError(f"--on is {on!r}, but must be mlflow or pods")
    place = place_of(project)
    if on == "pods" or follow is not None:
        _on_pods(place, follow, last, namespace, context)
    else:
        _in_mlflow(place, last)


def _on_pods(place: Place, name: str | None, last: int, namespace: str, context: str | None) -> None:
    from fairlead.cli.remote import follow_pods
    from fairlead.runners.pods.cluster import Cluster
    from fairlead.runners.pods.submit import list_runs

    cluster = Cluster(namespace, context)
    if name is not None:
        follow_pods(place.project().name, cluster, name, place.state / "runs" / name)
        return
    rows = [
        (run.name, run.started, run.status, run.reason.split("\n")[0][:60])
        for run in list_runs(cluster, place.project().name, last)
    ]
    if rows:
        table(
            f"runs as pods in {namespace}",
            ("run", "started (UTC)", "status", "reason"),
            rows,
            whole_names=True,
        )
    else:
        say(f"no runs in {namespace}; `fairlead run --on pods` starts one")


def _in_mlflow(place: Place, last: int) -> None:
    from fairlead.adapters.tracking import check_reachable, list_parent_runs

    settings = place.settings()
    check_reachable(settings.tracking_uri)
    rows = [
        (run.name, _when(run.started_ms), run.status.lower(), run.tags.get("fairlead.bundle", "")[:16],
         run.tags.get("fairlead.failure", "").split("\n")[0][:60])
        for run in list_parent_runs(settings, place.project().name, last)
    ]  # fmt: skip
    if rows:
        table("runs", ("run", "started (UTC)", "status", "bundle", "reason"), rows, whole_names=True)
    else:
        say("no runs yet; `fairlead run` starts one")


def _when(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
