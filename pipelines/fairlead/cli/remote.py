"""Runs that happen elsewhere: as pods on a cluster, and on Kubeflow Pipelines."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fairlead.cli.options import Place, place_of
from fairlead.cli.show import say, watcher

if TYPE_CHECKING:
    from fairlead.records import Store
    from fairlead.runners.events import RunEnded
    from fairlead.runners.kubeflow import Endpoint
    from fairlead.runners.pods.cluster import Cluster
    from fairlead.spec import Project


@dataclass(frozen=True, slots=True)
class Pushed:
    """A project in the store, ready to be run elsewhere."""

    project: Project
    value: str
    """The flow's parameter ``project``."""
    source_root: str
    folder: Path
    """Where results are fetched to."""

    @property
    def digest(self) -> str:
        """Digest of the archive."""
        return self.value.rpartition("@sha256:")[2]

    def parameters(self) -> dict[str, str]:
        """Every parameter of the flow: the UI of Kubeflow Pipelines compares only those that are given."""
        return {"project": self.value, "source_root": self.source_root}

    def flow(self, image: str | None) -> str:
        """The flow, compiled with the project's section ``run``."""
        from fairlead.flows.compiled import compile_flow

        return compile_flow("training", image, self.project.run)


def pushed(folder: Path, archive: str | None, source_root: str) -> Pushed:
    """The project in *folder*, stored; or the one in *archive*, which is stored already.

    Raises:
        ProjectError: Tasks on another machine could not read the store or the source.
    """
    if archive is not None:
        found = _unpacked(archive, source_root)
    else:
        place = place_of(folder)
        require_shared_store(place.settings().store)
        found = Pushed(place.project(), _push(place), source_root, place.state / "runs")
    _require_shared_source(found)
    return found


def _unpacked(archive: str, source_root: str) -> Pushed:
    from fairlead.adapters import archives

    with tempfile.TemporaryDirectory(prefix="fairlead-") as scratch:
        project = archives.unpack(archive, Path(scratch)).project
    return Pushed(project, archive, source_root, Path(tempfile.gettempdir()) / "fairlead-runs")


def _push(place: Place) -> str:
    from fairlead.adapters import archives

    with tempfile.TemporaryDirectory(prefix="fairlead-") as scratch:
        return archives.push(place.root, place.store(), Path(scratch))


def require_shared_store(where: str) -> None:
    """Refuse a store that only this machine can read."""
    from fairlead.errors import ProjectError

    if not where.startswith("s3://"):
        raise ProjectError(
            f"the store is the folder {where}, which tasks on a cluster cannot read",
            hint="Set FAIRLEAD_STORE to the cluster's store, s3://bucket/prefix, and AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY to reach it from here.",
        )


def _require_shared_source(found: Pushed) -> None:
    from fairlead.errors import ProjectError

    uri = found.project.data.source.uri
    if "://" not in uri and not Path(uri).is_absolute() and not found.source_root:
        raise ProjectError(
            f"data.source.uri is {uri!r}, a path on this machine, which tasks on a cluster cannot read",
            hint="Give s3://…, a database, or an absolute path on a mounted volume; or --source-root, a folder in the pods.",
        )


@contextmanager
def left_running(how: str) -> Iterator[None]:
    """Let an interruption end only the watching."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"stopped watching; the run goes on. Follow it again: {how}")
        raise typer.Exit(130) from None


def run_on_pods(
    found: Pushed,
    cluster: Cluster,
    *,
    image: str | None,
    tools_image: str | None,
    resume: str | None,
    detach: bool,
) -> None:
    """Start the flow as pods, or start the killed run *resume* again, and follow it."""
    from fairlead.runners.pods.manifests import TASK_ACCOUNT, RunRequest, run_name
    from fairlead.runners.pods.submit import restart, stamp, submit

    run = found.project.run
    name = resume or run_name(found.project.name, stamp(datetime.now(UTC)), found.digest)
    request = RunRequest(
        name, found.project.name, cluster.namespace, found.parameters(), run.service_account or TASK_ACCOUNT
    )
    if resume:
        restart(cluster, resume)
    submit(cluster, request, found.flow(image), tools_image or tools_beside(image or run.image))
    say(f"run {name} is a Job in the namespace {cluster.namespace}; it goes on without this command")
    if not detach:
        follow_pods(found.project.name, cluster, name, found.folder / name)


def tools_beside(image: str | None) -> str:
    """The image of the orchestrator that goes with a pipeline image: the same registry, the same tag.

    >>> tools_beside("registry.example/fairlead/pipeline:1.2")
    'registry.example/fairlead/tools:1.2'

    Raises:
        ProjectError: It cannot be told from the name.
    """
    from fairlead.errors import ProjectError
    from fairlead.image import PIPELINE_IMAGE

    image = image or PIPELINE_IMAGE
    name = image.partition("@")[0]
    head, separator, tag = name.rpartition("/pipeline:")
    if not separator:
        raise ProjectError(
            f"the orchestrator's image cannot be told from the pipeline image {image}",
            hint="Name it: --tools-image.",
        )
    return f"{head}/tools:{tag}"


def follow_pods(project: str, cluster: Cluster, name: str, folder: Path) -> None:
    """Follow a run to its end, fetch what there is to see, and show it.

    Raises:
        FairleadError: The run failed: the error of the stage that did.
    """
    from fairlead.errors import FairleadError
    from fairlead.runners.pods.submit import follow

    with left_running(f"fairlead runs --on pods --follow {name}"), watcher() as watch:
        ended = follow(cluster, name, watch)
    _show(project, ended, folder)
    if ended.error:
        raise FairleadError.from_json(ended.error)


def _show(project: str, ended: RunEnded, folder: Path) -> None:
    from fairlead.cli.left import say_pages, show_gates
    from fairlead.errors import FairleadError
    from fairlead.runners.pods.submit import fetch_results

    try:
        fetch_results(ended, _store(), folder)
        show_gates(folder)
    except FairleadError as error:
        say(f"pages and gates are in the cluster's store, which cannot be read from here: {error.message}")
    if ended.bundle:
        say(f"bundle {ended.bundle[:16]} of {project} in {ended.seconds:.1f} s")
    say_pages(folder)
    say(f"MLflow run: {ended.mlflow_run}")


def _store() -> Store:
    from fairlead.adapters.settings import STORE
    from fairlead.adapters.store import open_store

    where = os.environ.get(STORE, "")
    require_shared_store(where)
    return open_store(where)


def run_on_kubeflow(found: Pushed, endpoint: Endpoint, *, image: str | None, detach: bool) -> None:
    """Start the flow on Kubeflow Pipelines and follow it."""
    from fairlead.adapters.settings import STATE_FOLDER, TRACKING_URI, Settings
    from fairlead.runners.kubeflow import Kubeflow, bundle_of
    from fairlead.runners.pods.manifests import run_name
    from fairlead.runners.pods.submit import stamp

    began = time.time()
    kubeflow = Kubeflow(endpoint)
    name = run_name(found.project.name, stamp(datetime.now(UTC)), found.digest)
    submitted = kubeflow.submit(
        found.flow(image), found.parameters(), project=found.project.name, name=name,
        service_account=found.project.run.service_account,
    )  # fmt: skip
    say(f"run {name}: {submitted.link}")
    if detach:
        return
    with left_running(submitted.link), watcher() as watch:
        kubeflow.follow(submitted.run_id, watch)
    settings = Settings.from_environment(os.environ, Path(STATE_FOLDER))
    if TRACKING_URI not in os.environ:
        say(f"the run ended well; set {TRACKING_URI} to see its bundle here")
        return
    digest = bundle_of(settings, found.digest, int(began * 1000))
    say(f"bundle {digest[:16]} of {found.project.name} in {time.time() - began:.1f} s")
    say(f"MLflow:  {settings.tracking_uri}")
