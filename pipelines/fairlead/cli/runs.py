"""``fairlead runs``: what ran, when and how it ended."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.options import ProjectFolder, place_of
from fairlead.cli.show import say, table

NAME = "runs"
EXAMPLES = "Examples:  fairlead runs   |   fairlead runs --last 5"


def command(
    project: ProjectFolder = Path(),
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
) -> None:
    """List pipeline runs, newest first, with their outcome and bundle."""
    from fairlead.adapters.tracking import check_reachable, list_parent_runs

    place = place_of(project)
    settings = place.settings()
    check_reachable(settings.tracking_uri)
    rows = [
        (run.name, _when(run.started_ms), run.status.lower(), run.tags.get("fairlead.bundle", "")[:16],
         run.tags.get("fairlead.failure", "").split("\n")[0][:60])
        for run in list_parent_runs(settings, place.project().name, last)
    ]  # fmt: skip
    if rows:
        table("runs", ("run", "started (UTC)", "status", "bundle", "reason"), rows)
    else:
        say("no runs yet; `fairlead run` starts one")


def _when(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
