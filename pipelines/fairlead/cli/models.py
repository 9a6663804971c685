"""``fairlead models``: what is registered, and which version serves."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.options import ProjectFolder, place_of
from fairlead.cli.show import say, table

app = typer.Typer(
    help="Registered versions of the project's model.", no_args_is_help=True, rich_markup_mode=None
)

Version = Annotated[int, typer.Argument(min=1, help="Version number.")]


@app.command("list", epilog="Example:  fairlead models list")
def list_(project: ProjectFolder = Path()) -> None:
    """List versions, newest first."""
    place = place_of(project)
    name = place.project().name
    rows = [
        (
            found.version,
            ", ".join(found.aliases),
            found.digest[:16],
            found.tags.get("fairlead.format", ""),
            found.created,
        )
        for found in place.registry().versions(name)
    ]
    if rows:
        table(f"model {name}", ("version", "alias", "bundle", "format", "registered (UTC)"), rows)
    else:
        say(f"model {name} has no versions yet; `fairlead run` trains and registers one")


@app.command("show", epilog="Example:  fairlead models show 3")
def show(version: Version, project: ProjectFolder = Path()) -> None:
    """Show one version: metrics, digests, who answers for it, who promoted it and why."""
    place = place_of(project)
    found = place.registry().version(place.project().name, version)
    say(f"{found.name} version {found.version}  {', '.join(found.aliases)}")
    say(f"bundle {found.digest}")
    say(f"stored at {found.uri}")
    say(f"registered {found.created}, MLflow run {found.run_id}")
    say(f"answered for by {found.tags.get('fairlead.owner', 'nobody named')}")
    for key, value in sorted(found.tags.items()):
        if key.startswith("fairlead.promoted"):
            say(f"{key.removeprefix('fairlead.')}: {value}")
    table("metrics on its test rows", ("metric", "value"), sorted(found.metrics.items()))


@app.command("compare", epilog="Example:  fairlead models compare 3 4")
def compare(this: Version, other: Version, project: ProjectFolder = Path()) -> None:
    """Compare the metrics of two versions. Each was measured on the test rows of its own run."""
    place = place_of(project)
    registry, name = place.registry(), place.project().name
    left, right = registry.version(name, this), registry.version(name, other)
    names = sorted(left.metrics.keys() | right.metrics.keys())
    rows = [(metric, *(_figure(side.metrics.get(metric)) for side in (left, right)), _change(left.metrics, right.metrics, metric))
            for metric in names]  # fmt: skip
    table(
        f"{name}: version {this} and {other}",
        ("metric", f"version {this}", f"version {other}", "change"),
        rows,
    )
    if left.tags.get("fairlead.data") != right.tags.get("fairlead.data"):
        say(
            "The two were measured on different snapshots: a gate with not_worse_than compares on the same rows."
        )


@app.command("promote", epilog="Example:  fairlead models promote 4 --why 'reviewed by payments-risk'")
def promote(
    version: Version,
    why: Annotated[str, typer.Option(help="The reason; kept with the version.", prompt="Why")],
    project: ProjectFolder = Path(),
    by: Annotated[str, typer.Option(help="Who decides.", show_default="your user name")] = "",
) -> None:
    """Make a version the champion: the one that `fairlead serve` serves and gates compare with."""
    place = place_of(project)
    promoted = place.registry().promote(place.project().name, version, by=by or getpass.getuser(), why=why)
    say(f"version {promoted.version} ({promoted.digest[:16]}) is now champion")


def _figure(value: float | None) -> float | str:
    return "not measured" if value is None else value


def _change(left: object, right: object, metric: str) -> float | str:
    before, after = dict(left).get(metric), dict(right).get(metric)  # type: ignore[call-overload]
    return "" if before is None or after is None else after - before
