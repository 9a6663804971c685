"""Build the images, and remember how long it took and how big they are."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from tools.images import bases, provenance
from tools.images.engines import Engine
from tools.images.lock import ImageError
from tools.images.targets import DOCKERFILE, OUT, ROOT, TARGETS, WHEELS, Target

RECORD = OUT / "builds.json"
"""Seconds of each target's last build; not part of any image."""


REGISTRY = "localhost"
"""Prefix of the images' names where no other is given; the charts' default too. No registry has this name: nothing is pulled
by accident."""


def tag_of(target: Target, registry: str = REGISTRY) -> str:
    """The image's name: the tag is the project's version, which is also the charts' appVersion."""
    return f"{registry.rstrip('/')}/fairlead/{target.name}:{provenance.version()}"


def build(engine: Engine, targets: Iterable[Target], given: Mapping[str, str], *, registry: str, release: bool,
          options: Iterable[str] = ()) -> None:  # fmt: skip
    """Build *targets* from what :func:`tools.images.wheels.prepare` has made.

    Args:
        engine: Docker or Buildah.
        targets: Which ones.
        given: Base images that replace the Dockerfile's, by build argument.
        registry: Prefix of the images' names.
        release: Refuse bases without a digest.
        options: More options of the engine's ``build``, such as ``--no-cache``.

    Raises:
        ImageError: A base without a digest in a release, wheels not prepared, or a failed build.
    """
    arguments = {**bases.chosen(given), **_labels()}
    if release:
        bases.require_digests(bases.chosen(given))
    for target in targets:
        _require_wheels(target)
        fixed = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        began = time.monotonic()
        engine.build(
            DOCKERFILE, ROOT, tag_of(target, registry), [f"--target={target.name}", *fixed, *options]
        )
        _remember(target, time.monotonic() - began)


def _labels() -> dict[str, str]:
    return {
        "VERSION": provenance.version(),
        "REVISION": provenance.revision(),
        "CREATED": provenance.timestamp(provenance.epoch()),
    }


def _require_wheels(target: Target) -> None:
    if not (OUT / f"{target.name}.txt").exists() or not WHEELS.exists():
        raise ImageError(
            f"the wheels of {target.name} are not here: run `python -m tools.images wheels` first"
        )


def save(engine: Engine, targets: Iterable[Target], registry: str, folder: Path) -> None:
    """Write each image to ``folder/NAME.tar``, as ``docker load`` and containerd read it."""
    folder.mkdir(parents=True, exist_ok=True)
    for target in targets:
        part = folder / f"{target.name}.part"
        engine.save(tag_of(target, registry), part)
        part.rename(folder / f"{target.name}.tar")


# -------------------------------------------------------------------------------------------------- figures


def _remember(target: Target, seconds: float) -> None:
    known = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    RECORD.write_text(json.dumps({**known, target.name: round(seconds, 1)}, indent=1), encoding="utf-8")


def sizes(engine: Engine, registry: str) -> str:
    """A Markdown table of all images: unpacked size and the seconds of the last build."""
    known = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    rows = ["| image | unpacked | last build |", "| --- | ---: | ---: |"]
    for target in TARGETS.values():
        size = engine.size(tag_of(target, registry))
        shown = "not built" if size is None else f"{size / 1e6:.0f} MB"
        taken = f"{known[target.name]:.0f} s" if target.name in known else ""
        rows.append(f"| `fairlead/{target.name}` | {shown} | {taken} |")
    return "\n".join(rows)
