"""The images that the Dockerfile starts from: its build arguments ``…_IMAGE``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tools.images.lock import ImageError
from tools.images.targets import DOCKERFILE

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


def defaults(dockerfile: str | None = None) -> dict[str, str]:
    """Base images by build argument, as the Dockerfile has them.

    >>> defaults("ARG UV_IMAGE=ghcr.io/astral-sh/uv:0.13.9\\nARG VERSION=0\\n")
    {'UV_IMAGE': 'ghcr.io/astral-sh/uv:0.13.9'}
    """
    text = DOCKERFILE.read_text(encoding="utf-8") if dockerfile is None else dockerfile
    return dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", text, re.MULTILINE))


def chosen(given: Mapping[str, str]) -> dict[str, str]:
    """The Dockerfile's base images with those of *given* in their place.

    Raises:
        ImageError: *given* has a name that the Dockerfile does not have.
    """
    known = defaults()
    for name in given:
        if name not in known:
            raise ImageError(f"{name}: the Dockerfile has no such base image, only {', '.join(known)}")
    return {**known, **given}


def require_digests(bases: Mapping[str, str]) -> None:
    """Refuse bases that are named by a tag alone.

    Raises:
        ImageError: There is one. All of them are named.
    """
    moving = [f"{name}={image}" for name, image in bases.items() if not _DIGEST.search(image)]
    if moving:
        raise ImageError(
            "a release is built from bases that cannot move; these have no digest:\n  "
            + "\n  ".join(moving)
            + "\nGive each as --base NAME=image:tag@sha256:… (`docker buildx imagetools inspect image:tag` prints it)."
        )
