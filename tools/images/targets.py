"""The images, as targets of the Dockerfile: which optional dependencies each one has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCKERFILE = ROOT / "Dockerfile"
LOCK = ROOT / "uv.lock"
OUT = ROOT / "dist" / "images"
"""Requirements, SBOMs and wheels: the build context."""
WHEELS = OUT / "wheels"


@dataclass(frozen=True)
class Target:
    """One image."""

    name: str
    """Target in the Dockerfile; the repository is ``fairlead/NAME``."""
    extras: tuple[str, ...]
    """Optional dependencies of the project that it has, with all that they depend on."""
    alone: tuple[tuple[str, str], ...] = ()
    """Packages it has without what they depend on, each as (package, the extra that names it)."""
    project: bool = True
    """Whether the project itself is in it. Not where a bundle brings its own code."""


TARGETS = {
    target.name: target
    for target in (
        # kfp's executor imports nothing but the standard library and typing_extensions, which other packages bring.
        Target("pipeline", ("train", "sql", "images"), alone=(("kfp", "pipeline"),)),
        Target("serve", ("serve",), project=False),
        Target("serve-sklearn", ("serve", "serve-sklearn"), project=False),
        Target("tools", ("cluster",)),
        Target("mlflow", ("mlflow-server",), project=False),
    )
}
