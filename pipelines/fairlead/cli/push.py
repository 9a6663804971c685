"""``fairlead push``: store the project where a pipeline finds it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.options import ProjectFolder, place_of
from fairlead.cli.show import say

NAME = "push"
EXAMPLES = "Examples:  fairlead push   |   fairlead push --to /mnt/fairlead"


def command(
    project: ProjectFolder = Path(),
    to: Annotated[
        Path | None, typer.Option(help="Store to push to, a folder. Default: the project's own.")
    ] = None,
) -> None:
    """Store the project as one archive and print the value for the pipeline's parameter `project`."""
    from fairlead.adapters import archives
    from fairlead.adapters.store import FolderStore

    place = place_of(project)
    store = FolderStore(to.resolve()) if to else place.store()
    with tempfile.TemporaryDirectory(prefix="fairlead-") as scratch:
        say(archives.push(place.root, store, Path(scratch)))
