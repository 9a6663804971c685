"""``fairlead bundle``: bundles as they travel to where they are served."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlead.cli.options import Place, ProjectFolder, place_of
from fairlead.cli.show import say

if TYPE_CHECKING:
    from fairlead.records import ModelVersion

app = typer.Typer(help="Bundles in the store.", no_args_is_help=True, rich_markup_mode=None)

KIND = "bundles"
LAYOUT = ("bundle.json", "attestations", "bento")
"""What a bundle's folder holds. The record comes first when a bundle is taken away and last when it is put in place, because a
folder without it is no bundle."""
UNFINISHED = ".unfinished"


@app.command(
    "fetch",
    epilog="Example:  fairlead bundle fetch s3://models/team/bundles/6f3b….tar --digest 6f3b… --to /bundle",
)
def fetch(
    uri: Annotated[
        str, typer.Argument(help="Where the store keeps the bundle, as `fairlead bundle values` prints it.")
    ],
    digest: Annotated[str, typer.Option(help="The digest that the bundle must have.")],
    to: Annotated[Path, typer.Option(help="Folder for the bundle; complete afterwards, or as it was.")],
) -> None:
    """Fetch a bundle from a store and check every file of it. Fetching it again only checks it."""
    to = to.resolve()  # a folder such as `.` has no name to build a temporary one from
    if holds(to, digest):
        say(f"{to} holds bundle {digest[:16]} already; every file was checked")
        return
    refuse_other_content(to)
    fetch_bundle(uri, digest, to)
    say(f"fetched bundle {digest[:16]} to {to}; every file was checked")


def holds(folder: Path, digest: str) -> bool:
    """Whether *folder* is the bundle *digest*, whole and unchanged."""
    from fairlead.bundle.verify import verify
    from fairlead.errors import IntegrityError

    try:
        return verify(folder).digest == digest
    except IntegrityError:
        return False


def refuse_other_content(folder: Path) -> None:
    """Raise ProjectError if *folder* holds anything but a bundle or what an interrupted fetch left of one."""
    from fairlead.errors import ProjectError

    if folder.is_dir():
        foreign = sorted({path.name for path in folder.iterdir()} - {*LAYOUT, UNFINISHED})
        if foreign:
            raise ProjectError(
                f"{folder} holds {foreign[0]!r}, which belongs to no bundle", hint="Choose another folder."
            )


def fetch_bundle(uri: str, digest: str, to: Path) -> None:
    """Have the bundle at *uri* in the folder *to*, which appears complete or not at all.

    A folder that is a mount point cannot be replaced; its entries are, the bundle's record last.

    Raises:
        ProjectError: *uri* names no object of a store.
        NotFound: The store does not have it.
        IntegrityError: It is not the bundle that *digest* names, or of a layout that this fairlead does not read.
        ServiceError: The store or the disk fails.
    """
    from fairlead.adapters.store import object_at
    from fairlead.atomic import publish_folder
    from fairlead.bundle.verify import verify
    from fairlead.errors import IntegrityError

    store, kind, name = object_at(uri)
    inside = os.path.ismount(to)
    unfinished = to / UNFINISHED if inside else to.with_name(f".{to.name}{UNFINISHED}")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        store.get(kind, name, unfinished)
        found = verify(unfinished).digest
        if found != digest:
            raise IntegrityError(f"{uri} is the bundle {found}, but {digest} was asked for")
        if inside:
            _move_in(unfinished, to)
        else:
            publish_folder(unfinished, to)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _move_in(finished: Path, to: Path) -> None:
    for name in LAYOUT:
        shutil.rmtree(to / name) if (to / name).is_dir() else (to / name).unlink(missing_ok=True)
    for name in reversed(LAYOUT):
        (finished / name).rename(to / name)


@app.command(
    "values",
    epilog="Examples:  fairlead bundle values   |   fairlead bundle values challenger > bundle.yaml",
)
def values(
    which: Annotated[
        str,
        typer.Argument(
            metavar="[VERSION]", help="Number, alias or digest (its first eight digits or more) of a version."
        ),
    ] = "champion",
    project: ProjectFolder = Path(),
) -> None:
    """Print the values that the chart of a model needs to serve a version, as YAML: the bundle, and what a load test found."""
    place = place_of(project)
    version = place.registry().find(place.project().name, which)
    for section, entries in {"bundle": chart_values(place, version), **load_values(place, version)}.items():
        say(f"{section}:")
        for key, value in entries.items():
            # As JSON: Helm reads YAML 1.1, in which a bare `n` is false and a bare 1e5 is a number.
            say(f"  {key}: {json.dumps(value, ensure_ascii=False)}")


def chart_values(place: Place, version: ModelVersion) -> dict[str, Any]:
    """Name, digest, URI and format of a version's bundle, and one valid request row to try it with.

    Raises:
        NotFound: The bundle is not where it was kept.
    """
    folder = place.bundle(version.digest, version.uri)
    record = json.loads((folder / "bundle.json").read_bytes())
    examples = json.loads((folder / "attestations" / "examples.json").read_bytes())
    return {
        "name": version.name,
        "digest": version.digest,
        "uri": version.uri,
        "format": record["format"],
        "probe": {"rows": examples["rows"][:1]},
    }


def load_values(place: Place, version: ModelVersion) -> dict[str, dict[str, Any]]:
    """What the load test found a pod to need, as sections of the chart's values; none if there was none, or it found no rate."""
    from fairlead.bundle.load import capacity
    from fairlead.bundle.verify import CAPACITY

    file = place.bundle(version.digest, version.uri) / CAPACITY
    return capacity.chart_values(capacity.Capacity.from_json(file.read_bytes())) if file.is_file() else {}
