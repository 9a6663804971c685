"""Builds container images, and turns them into archives that containerd can import.

Nothing here needs a daemon or an image registry: a base that is not in the storage is an error, never a download.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from .failures import Failure
from .places import Cache
from .processes import Word, run, succeeds
from .stamps import digest


@dataclass(frozen=True)
class Recipe:
    """What `buildah build` is asked for.

    Attributes:
        context: The folder that COPY and ADD read; its .dockerignore is honoured.
        file: The Dockerfile. None: `Containerfile` or `Dockerfile` in the context.
        target: The stage to build. Empty: the last one.
        arguments: `NAME=VALUE` for each ARG.
        contexts: `NAME=FOLDER` for each additional build context.
    """

    context: Path
    file: Path | None = None
    target: str = ""
    arguments: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()

    def options(self) -> list[Word]:
        """The recipe as options of `buildah build`, the context last."""
        file: list[Word] = ["--file", self.file] if self.file else []
        target: list[Word] = ["--target", self.target] if self.target else []
        arguments = [word for pair in self.arguments for word in ("--build-arg", pair)]
        contexts = [word for pair in self.contexts for word in ("--build-context", pair)]
        return [*file, *target, *arguments, *contexts, self.context]


class Buildah:
    """Images in the storage of *cache*, which nobody else's buildah sees.

    Attributes:
        command: The program with the options that say where its storage is.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        # Locks and mounts must not outlive a reboot, so they are under /run, one folder for each storage.
        runroot = f"/run/fairlead-cluster-{digest(str(cache.root.resolve()))}"
        self.command: tuple[Word, ...] = (
            "buildah", "--root", cache.layers, "--runroot", runroot, "--storage-driver", "overlay",
        )  # fmt: skip

    def has(self, tag: str) -> bool:
        """Whether an image of this name is in the storage."""
        return succeeds(*self.command, "inspect", "--type", "image", tag)

    def image_id(self, tag: str) -> str:
        """The digest of the image's configuration, which covers its layers."""
        if not self.has(tag):
            raise Failure(f"no image {tag}: build it first (`cluster build`, `cluster image`)")
        return run(*self.command, "inspect", "--type", "image", "--format", "{{.FromImageID}}", tag)

    def build(self, tag: str, recipe: Recipe, *, show: bool = False) -> str:
        """Build *recipe* as *tag* and give its id; unchanged steps come from the layers of earlier builds.

        The chroot isolation needs no runtime and no user namespace: it works inside most sandboxes.
        """
        with tempfile.NamedTemporaryFile("r") as id_file:
            run(
                *self.command, "build", "--isolation", "chroot", "--pull-never", "--layers",
                *([] if show else ["--quiet"]), "--iidfile", id_file.name, "--tag", tag, *recipe.options(),
                show=show,
            )  # fmt: skip
            return id_file.read().strip().removeprefix("sha256:")

    def archive(self, tag: str) -> Path:
        """The image as a docker archive, written once for each image id; older ones of the tag are removed."""
        name = tag.replace("/", "_").replace(":", "_")
        wanted = self._cache.archives / f"{name}-{self.image_id(tag)[:20]}.tar"
        if not wanted.exists():
            for old in self._cache.archives.glob(f"{name}-{'?' * 20}.tar"):
                old.unlink()
            part = wanted.with_suffix(".part")
            part.unlink(missing_ok=True)
            run(*self.command, "push", "--quiet", tag, f"docker-archive:{part}:{tag}")
            part.replace(wanted)
        return wanted
