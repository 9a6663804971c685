"""``fairlead data``: look at the data before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.options import ProjectFolder, place_of
from fairlead.cli.show import say

app = typer.Typer(help="The project's data.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Keep `data` a group while it has one verb."""


@app.command("infer", epilog="Examples:  fairlead data infer   |   fairlead data infer --force")
def infer(
    project: ProjectFolder = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite a contract that exists.")] = False,
) -> None:
    """Write a first data contract from what the data looks like. Read it, then make it stricter."""
    from fairlead.adapters.sources import open_source
    from fairlead.atomic import write_text
    from fairlead.data.infer import infer as infer_contract
    from fairlead.errors import ProjectError

    place = place_of(project)
    spec = place.project()
    target = place.root / spec.data.contract
    if target.exists() and not force:
        raise ProjectError(f"{target} exists already", hint="Overwrite it with --force.")
    text = infer_contract(open_source(spec.data.source, place.root), spec)
    write_text(target, text)
    say(f"wrote {target}: a first guess; check types, ranges and which columns are known at prediction")
