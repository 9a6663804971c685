"""Images built from any Dockerfile, and the way of an image into a cluster's containerd."""

from __future__ import annotations

from pathlib import Path

from .access import containerd, is_up
from .buildah import Buildah, Recipe
from .failures import Failure
from .places import Cache, State
from .stamps import is_fresh, locked


def full_name(tag: str) -> str:
    """The name under which containerd knows an image built here as *tag*.

    >>> full_name("fairlead/serve:0.1.0"), full_name("localhost/app:1")
    ('localhost/fairlead/serve:0.1.0', 'localhost/app:1')

    Raises:
        Failure: the name has no tag, or the tag `latest`, which hides which build runs.
    """
    if ":" not in tag.rsplit("/", 1)[-1] or tag.endswith(":latest"):
        raise Failure(f"{tag}: give the image a tag other than `latest`: a moving tag hides which build runs")
    host = tag.split("/", 1)[0]
    is_registry = "/" in tag and (host == "localhost" or "." in host or ":" in host)
    return tag if is_registry else f"localhost/{tag}"


def build_image(tag: str, recipe: Recipe, cache: Cache, state: State) -> None:
    """Build *recipe* as *tag*, and load it if the cluster is up and has another image of that name."""
    with locked(cache.root / "image.lock"):
        Buildah(cache).build(tag, recipe, show=True)
    if is_up(state):
        load_image(tag, cache, state)


def load_image(tag: str, cache: Cache, state: State) -> None:
    """Bring the image *tag* from the storage into the running cluster, unless it is there."""
    with locked(cache.root / "image.lock"):
        buildah = Buildah(cache)
        image_id = buildah.image_id(tag)
        note = state.loaded / tag.replace("/", "_")
        if is_fresh(note, f"{image_id} {_target(tag, state)}"):
            return
        load_archive(buildah.archive(tag), state)
        note.parent.mkdir(exist_ok=True)
        note.write_text(f"{image_id} {_target(tag, state)}")


def load_archive(archive: Path, state: State) -> None:
    """Import a docker or OCI archive into the running cluster."""
    if not archive.is_file():
        raise Failure(f"{archive}: there is no such file")
    containerd(state, "images", "import", archive)


def _target(tag: str, state: State) -> str:
    """The manifest that containerd has under the name *tag*; empty where there is none.

    Somebody may have loaded another image of that name since, so a note of ours alone would not do.
    """
    lines = containerd(state, "images", "list", f"name=={tag}").splitlines()[1:]
    return lines[0].split()[2] if lines else ""
