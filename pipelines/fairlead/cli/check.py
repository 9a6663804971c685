"""``fairlead check``: would a run start, and would it mean what was meant?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.options import Place, ProjectFolder, place_of
from fairlead.cli.show import say, table
from fairlead.errors import DataError, FairleadError, ServiceError

if TYPE_CHECKING:
    from fairlead.records import Workspace

NAME = "check"
EXAMPLES = "Examples:  fairlead check   |   fairlead check --fast   |   fairlead check --candidates"


def command(
    project: ProjectFolder = Path(),
    fast: Annotated[
        bool, typer.Option("--fast", help="Only the files; no data, no code, no services.")
    ] = False,
    candidates: Annotated[
        bool, typer.Option("--candidates", help="List the built-in candidates and stop.")
    ] = False,
) -> None:
    """Check project file, contract, data, the project's code and the environment."""
    if candidates:
        list_candidates()
        return
    place = place_of(project)
    failed: list[FairleadError] = []
    for title, step in _steps(place, fast=fast):
        try:
            found = step()
        except FairleadError as error:
            if str(error) not in map(str, failed):  # a wrong file stops all steps that read it: said once
                say(f"✗ {title}\n    " + str(error).replace("\n", "\n    "))
            failed.append(error)
        else:
            say(f"✓ {title}{': ' + found if found else ''}")
    if failed:
        raise typer.Exit(failed[0].exit_code)


def list_candidates() -> None:
    """Print the built-in candidates of every task."""
    from fairlead.model.candidates import CANDIDATES

    table("built-in candidates", ("task", "name", "what it is"),
          [(task, name, kind.says) for task, kinds in CANDIDATES.items() for name, kind in kinds.items()])  # fmt: skip


def _steps(place: Place, *, fast: bool) -> Iterator[tuple[str, Callable[[], str]]]:
    """What is checked, in order: a title, and a function that says what was found or raises."""
    yield "project file and contract", lambda: _files(place)
    if not fast:
        yield "data source", lambda: _source(place)
        yield "candidates and the project's code", lambda: _code(place)
        yield "state folder", lambda: _state(place)
        yield "MLflow", lambda: _tracking(place)
        yield "pipeline for a cluster", lambda: _pipeline(place)


def _files(place: Place) -> str:
    from fairlead.adapters.archives import read_project

    project, contract = read_project(place.root)
    return f"{project.name}, task {project.model.task}, {len(contract.columns)} columns"


def _source(place: Place) -> str:
    from fairlead.adapters.archives import read_project
    from fairlead.adapters.sources import open_source
    from fairlead.data.validate import require_columns

    project, contract = read_project(place.root)
    source = open_source(project.data.source, place.root)
    first = next(iter(source.batches()), None)
    if first is None:
        raise DataError(
            f"{source.description} has no rows", hint="There may be columns, but nothing below them."
        )
    require_columns(contract, first.schema.names)
    return f"{source.description}, {len(first.schema.names)} columns"


def _code(place: Place) -> str:
    from fairlead.model.preflight import preflight

    workspace = _workspace(place)
    preflight(workspace)
    return f"{len(workspace.project.model.candidates)} candidate(s) build, fit and save without pickle"


def _state(place: Place) -> str:
    try:
        place.state.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=place.state):
            return str(place.state)
    except OSError as cause:
        raise ServiceError(
            f"{place.state} cannot be written: {cause.strerror}",
            hint="It keeps snapshots, runs and bundles: a folder on a disk with some space.",
        ) from cause


def _tracking(place: Place) -> str:
    from fairlead.adapters.tracking import check_reachable

    uri = place.settings().tracking_uri
    check_reachable(uri)
    return uri


def _pipeline(place: Place) -> str:
    from fairlead.flows.compiled import compile_flow
    from fairlead.runners.pods.compiled import executors_of

    run = place.project().run
    if not run.model_fields_set:
        return ""
    executors_of(compile_flow("training", run=run))
    return f"the section run is obeyed by --on pods and --on kubeflow ({', '.join(sorted(run.model_fields_set))})"


def _workspace(place: Place) -> Workspace:
    from fairlead.adapters.archives import read_project
    from fairlead.records import Workspace

    project, contract = read_project(place.root)
    return Workspace(place.root, project, contract, digest="", source_root=place.root)
