"""The example projects that come with fairlead."""

from __future__ import annotations

import shutil
from pathlib import Path

import fairlead
from fairlead.errors import ProjectError

_NOT_COPIED = ("__pycache__", ".fairlead", "data")


def examples_folder() -> Path:
    """Where the examples are: inside an installed package, or at the top of a checkout."""
    for root in map(Path, fairlead.__path__):
        for folder in (root / "examples", root.parent.parent / "examples"):
            if folder.is_dir():
                return folder
    raise ProjectError(
        "this installation of fairlead has no examples", hint="Install it from the wheel or a checkout."
    )


def example_names() -> list[str]:
    """Names of the examples."""
    return sorted(path.parent.name for path in examples_folder().glob("*/fairlead.yaml"))


def copy_example(name: str, to: Path) -> None:
    """Copy an example to the folder *to*, which must not exist or be empty.

    Raises:
        ProjectError: There is no such example, or *to* holds something.
    """
    if name not in example_names():
        raise ProjectError(f"there is no example {name!r}", hint=f"There are: {', '.join(example_names())}.")
    if to.is_dir() and any(to.iterdir()):
        raise ProjectError(f"{to} is not empty", hint="Name a folder that does not exist yet.")
    shutil.copytree(
        examples_folder() / name, to, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*_NOT_COPIED)
    )
