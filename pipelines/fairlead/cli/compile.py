"""``fairlead compile``: the pipeline as YAML, to upload in the KFP UI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.options import place_of
from fairlead.cli.show import say

if TYPE_CHECKING:
    from fairlead.spec.run import Run

NAME = "compile"
EXAMPLES = (
    "Examples:  fairlead compile   |   fairlead compile -C examples/fraud   |   "
    "fairlead compile --image registry.example/fairlead/pipeline@sha256:… -o training.yaml"
)


def _fixed(image: str | None) -> str | None:
    from fairlead.errors import ProjectError
    from fairlead.spec.run import is_fixed

    if image is not None and not is_fixed(image):
        raise ProjectError(
            f"image is {image!r}, but must have a fixed tag or a digest",
            hint="With a moving tag the pipeline backend's cache returns results of an older image.",
        )
    return image


Image = Annotated[
    str | None,
    typer.Option(callback=_fixed, help="Image that every task runs in, best by digest. Default: run.image."),
]


def command(
    project: Annotated[
        Path | None,
        typer.Option(
            "--project",
            "-C",
            envvar="FAIRLEAD_PROJECT",
            help="Folder of the project whose section `run` holds for the tasks.",
        ),
    ] = None,
    image: Image = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("training.yaml"),
) -> None:
    """Compile the training pipeline, with a project's resources, time-outs, secrets and placement, or with the defaults."""
    from fairlead.flows.compiled import compile_flow

    run = _run_section(project)
    out.write_text(compile_flow("training", image, run), encoding="utf-8")
    used = image or (run.image if run else None)
    if used is not None and "@sha256:" not in used:
        say(
            "the image has no digest: a cache of results cannot notice an image that was built again under this tag"
        )
    say(f"wrote {out}: upload it in the KFP UI, then paste what `fairlead push` prints as `project`")


def _run_section(folder: Path | None) -> Run | None:
    return None if folder is None else place_of(folder).project().run
