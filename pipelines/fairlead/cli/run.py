"""``fairlead run``: from the project file to a registered bundle."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.compile import Image
from fairlead.cli.left import candidate_of, say_pages, show_gates
from fairlead.cli.options import Place, ProjectFolder, place_of
from fairlead.cli.plan import present_inputs
from fairlead.cli.show import installed, say, watcher

if TYPE_CHECKING:
    from fairlead.adapters.settings import Settings
    from fairlead.runners.local import RunnerName, RunResult

NAME = "run"
EXAMPLES = (
    "Examples:  fairlead run   |   fairlead run -C examples/fraud   |   fairlead run --on pods   |   "
    "fairlead run --on kubeflow --host http://127.0.0.1:8888"
)

RUNNERS = ("local", "reference", "pods", "kubeflow")

_AWAY = ("pods", "kubeflow")
_USED_BY = {
    "namespace": _AWAY, "context": ("pods",), "token_file": ("kubeflow",), "image": _AWAY, "archive": _AWAY,
    "source_root": _AWAY, "resume": ("pods",), "detach": _AWAY,
}  # fmt: skip
"""Which runners an option means something to. Any other refuses it: `--archive` without `--on` would run another project."""


def command(
    project: ProjectFolder = Path(),
    on: Annotated[
        str,
        typer.Option(
            "--on",
            "--runner",
            help="local: tasks forked from a warm process. reference: KFP's own SubprocessRunner. "
            "pods: a Job and a pod a task on a cluster. kubeflow: Kubeflow Pipelines.",
        ),
    ] = "local",
    namespace: Annotated[
        str | None,
        typer.Option(
            help="pods: where the run's objects are, by default fairlead-runs. kubeflow: the profile, if there are several."
        ),
    ] = None,
    context: Annotated[str | None, typer.Option(help="pods: the kubeconfig's context.")] = None,
    host: Annotated[
        str | None, typer.Option(envvar="KF_PIPELINES_ENDPOINT", help="kubeflow: address of the API.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="kubeflow: file with a bearer token. In a pod: its ServiceAccount's.")
    ] = None,
    image: Image = None,
    tools_image: Annotated[
        str | None,
        typer.Option(
            envvar="FAIRLEAD_TOOLS_IMAGE",
            help="pods: the orchestrator's image, by default `tools` beside `pipeline`.",
        ),
    ] = None,
    archive: Annotated[
        str | None, typer.Option(help="A stored project, as `fairlead push` prints it, instead of a folder.")
    ] = None,
    source_root: Annotated[
        str, typer.Option(help="Folder in the tasks' pods that a relative data source is relative to.")
    ] = "",
    resume: Annotated[
        str | None, typer.Option(help="pods: go on with the run of this name where it was stopped.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Start it and do not wait for its end.")] = False,
) -> None:
    """Run the training pipeline: data, search, model, gates, bundle, registration.

    Without --on it runs on this machine. A schedule on a cluster runs, in the image `tools` and as the ServiceAccount
    fairlead-runner:  fairlead run --on pods --namespace NAMESPACE --archive s3://…@sha256:…
    """
    from fairlead.errors import ProjectError
    from fairlead.nearest import nearest

    if on not in RUNNERS:
        guess = nearest(on, RUNNERS)
        raise ProjectError(
            f"the runner is {on!r}, but must be one of {', '.join(RUNNERS)}",
            hint=f"Did you mean {guess!r}?" if guess else "",
        )
    _refuse_unused(on, namespace=namespace, context=context, token_file=token_file, image=image, archive=archive,
                   source_root=source_root, resume=resume, detach=detach)  # fmt: skip
    if on in ("local", "reference"):
        place = place_of(project)
        show_result(place, run_project(place, "reference" if on == "reference" else "local"))
        return
    from fairlead.cli import remote

    if on == "pods":
        from fairlead.runners.pods.cluster import Cluster
        from fairlead.runners.pods.submit import NAMESPACE

        cluster = Cluster(namespace or NAMESPACE, context)  # before anything is stored
        remote.run_on_pods(
            remote.pushed(project, archive, source_root), cluster,
            image=image, tools_image=tools_image, resume=resume, detach=detach,
        )  # fmt: skip
        return
    from fairlead.runners.kubeflow import Endpoint

    if host is None:
        raise ProjectError(
            "--on kubeflow needs the address of the API", hint="Give --host or KF_PIPELINES_ENDPOINT."
        )
    remote.run_on_kubeflow(
        remote.pushed(project, archive, source_root),
        Endpoint(host, namespace, token_file),
        image=image,
        detach=detach,
    )


def _refuse_unused(on: str, **given: object) -> None:
    from fairlead.errors import ProjectError

    for name, value in given.items():
        if value and on not in _USED_BY[name]:
            raise ProjectError(
                f"--{name.replace('_', '-')} means nothing to the runner {on!r}",
                hint=f"Leave it out, or give --on {' or --on '.join(_USED_BY[name])}.",
            )


def run_project(place: Place, runner: RunnerName = "local") -> RunResult:
    """Run the training flow of a project and log it as one MLflow run.

    Raises:
        FairleadError: The stage's own error. The MLflow run is closed as failed, with the reason.
    """
    started = time.monotonic()
    from fairlead.runners.warm import WarmServer

    server = WarmServer()
    server.start()  # first of all: it imports what the tasks need, beside what is done here
    from fairlead.adapters import archives
    from fairlead.adapters.tracking import check_reachable
    from fairlead.runners.local import run_training
    from fairlead.runners.planning import write_last

    settings = place.settings()
    check_reachable(settings.tracking_uri)
    with tempfile.TemporaryDirectory(prefix="fairlead-") as scratch:
        value = archives.push(place.root, place.store(), Path(scratch))
    inputs = present_inputs(place)
    name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{value[-64:][:6]}"
    folder = place.state / "runs" / name
    folder.mkdir(parents=True)
    with _pipeline_run(place, settings, folder, runner) as run, watcher() as watch:
        settings = replace(settings, parent_run=run.run_id)
        result = run_training(value, str(place.root), settings, folder, watch, runner, server)
        run.tags["fairlead.bundle"] = result.bundle_digest
    write_last(place.state, inputs, result.bundle_digest)
    return replace(result, seconds=time.monotonic() - started)


@dataclass(slots=True)
class _PipelineRun:
    """The MLflow run of the whole flow. ``tags`` are set when it ends."""

    run_id: str
    tags: dict[str, str] = field(default_factory=dict)


@contextmanager
def _pipeline_run(
    place: Place, settings: Settings, folder: Path, runner: RunnerName
) -> Iterator[_PipelineRun]:
    """Open the run, and close it with the outcome of the block: finished, failed with the reason, or killed."""
    from fairlead.adapters.tracking import close_parent_run, open_parent_run

    tags = {"fairlead.run": folder.name, "fairlead.runner": runner}
    run = _PipelineRun(open_parent_run(settings, place.project().name, tags))
    status = "KILLED"
    try:
        yield run
        status = "FINISHED"
    except Exception as error:
        status = "FAILED"
        run.tags["fairlead.failure"] = str(error)[:5000]
        show_gates(folder)
        say_pages(folder)
        raise
    finally:
        close_parent_run(settings, run.run_id, status, run.tags, candidate_of(folder).get("metrics", {}))


def show_result(place: Place, result: RunResult) -> None:
    """Print the gates, the bundle and where to look."""
    show_gates(result.folder)
    bundle = json.loads((place.bundle(result.bundle_digest) / "bundle.json").read_text(encoding="utf-8"))
    say(f"bundle {result.bundle_digest[:16]} ({bundle['format']}) in {result.seconds:.1f} s")
    say_pages(result.folder)
    settings = place.settings()
    say(f"MLflow:  {installed('mlflow')} ui --backend-store-uri {settings.tracking_uri}"
        if settings.tracking_uri.startswith("sqlite") else f"MLflow:  {settings.tracking_uri}")  # fmt: skip
    say(f"next:    {installed('fairlead')} serve")
