"""``fairlead push``: store the project where a pipeline finds it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.options import ProjectFolder, place_of
from fairlead.cli.show import say

NAME = "push"
EXAMPLES = "Examples:  fairlead push   |   fairlead push --to s3://bucket/prefix"


def command(
    project: ProjectFolder = Path(),
    to: Annotated[
        str, typer.Option(help="Store to push to, a folder or s3://bucket/prefix. Default: FAIRLEAD_STORE.")
    ] = "",
) -> None:
    """Store the project as one archive and print the value for the pipeline's parameter `project`."""
    from fairlead.adapters import archives
    from fairlead.adapters.settings import store_location
    from fairlead.adapters.store import open_store

    place = place_of(project)
    store = open_store(store_location(to)) if to else place.store()
    with tempfile.TemporaryDirectory(prefix="fairlead-") as scratch:
        say(archives.push(place.root, store, Path(scratch)))
