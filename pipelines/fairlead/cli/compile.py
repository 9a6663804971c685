"""``fairlead compile``: the pipeline as YAML, to upload in the KFP UI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.show import say

NAME = "compile"
EXAMPLES = "Examples:  fairlead compile   |   fairlead compile --image registry.example/fairlead/pipeline:1.2 -o training.yaml"


def command(
    image: Annotated[
        str | None, typer.Option(help="Image that every task runs in; use a fixed tag or a digest.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("training.yaml"),
) -> None:
    """Compile the training pipeline."""
    from fairlead.errors import ProjectError
    from fairlead.flows.compiled import compile_flow

    if image is not None and (":" not in image.rsplit("/", 1)[-1] or image.endswith(":latest")):
        raise ProjectError(
            f"image is {image!r}, but must have a fixed tag or a digest",
            hint="With a moving tag the pipeline backend's cache returns results of an older image.",
        )
    out.write_text(compile_flow("training", image), encoding="utf-8")
    say(f"wrote {out}: upload it in the KFP UI, then paste what `fairlead push` prints as `project`")
