"""Docker and Buildah, as far as building images here needs them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from tools.images.lock import ImageError, run


class Engine(ABC):
    """Builds images."""

    def __init__(self, command: Sequence[str]) -> None:
        """*command* is the program with the options that every call needs, such as where its storage is."""
        self.command = tuple(command)

    @abstractmethod
    def build(self, dockerfile: Path, context: Path, tag: str, options: Sequence[str]) -> None:
        """Build *dockerfile* as *tag*, without a network.

        Raises:
            ImageError: The build failed; its output was shown.
        """

    @abstractmethod
    def size(self, tag: str) -> int | None:
        """Bytes of all layers, unpacked; None if there is no such image."""

    @abstractmethod
    def save(self, tag: str, archive: Path) -> None:
        """Write the image as a docker archive.

        Raises:
            ImageError: There is no such image, or no room.
        """

    def _show(self, *words: str) -> None:
        if subprocess.run([*self.command, *words], check=False).returncode:
            raise ImageError(f"`{shlex.join(self.command)} {words[0]}` failed, see above")


class Docker(Engine):
    """Docker with BuildKit, its builder since 23.0."""

    def build(self, dockerfile: Path, context: Path, tag: str, options: Sequence[str]) -> None:
        """See :meth:`Engine.build`."""
        self._show("build", "--network=none", f"--file={dockerfile}", f"--tag={tag}", *options, str(context))

    def size(self, tag: str) -> int | None:
        """See :meth:`Engine.size`."""
        try:
            return int(run([*self.command, "image", "inspect", "--format={{.Size}}", tag]))
        except ImageError:
            return None

    def save(self, tag: str, archive: Path) -> None:
        """See :meth:`Engine.save`."""
        self._show("save", f"--output={archive}", tag)


class Buildah(Engine):
    """Buildah, which needs no daemon. With chroot isolation it needs no user namespaces and works in most sandboxes."""

    def build(self, dockerfile: Path, context: Path, tag: str, options: Sequence[str]) -> None:
        """See :meth:`Engine.build`. Bases without a host are looked for under localhost, and never pulled."""
        fixed = ["--isolation=chroot", "--pull-never", "--layers", "--quiet"]
        self._show("build", *fixed, f"--file={dockerfile}", f"--tag={tag}", *options, str(context))

    def size(self, tag: str) -> int | None:
        """See :meth:`Engine.size`; Buildah gives three digits."""
        try:
            (found,) = json.loads(run([*self.command, "images", "--json", tag]))
        except ImageError:
            return None
        return bytes_of(found["size"])

    def save(self, tag: str, archive: Path) -> None:
        """See :meth:`Engine.save`."""
        archive.unlink(missing_ok=True)
        self._show("push", "--quiet", tag, f"docker-archive:{archive}:{tag}")


def engine(command: str = "") -> Engine:
    """The engine that *command* starts, with its options; empty: Docker if its daemon answers, else Buildah.

    Raises:
        ImageError: Neither is there, or *command* is neither.
    """
    words = shlex.split(command)
    if not words:
        return _present()
    kinds: dict[str, type[Engine]] = {"docker": Docker, "buildah": Buildah}
    kind = kinds.get(Path(words[0]).name)
    if kind is None:
        raise ImageError(f"{words[0]}: images are built with docker or buildah")
    return kind(words)


def _present() -> Engine:
    if (
        shutil.which("docker")
        and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    ):
        return Docker(["docker"])
    if shutil.which("buildah"):
        return Buildah(["buildah"])
    raise ImageError(
        "neither a Docker daemon nor buildah is there, and one of them is needed to build images"
    )


_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def bytes_of(size: str) -> int:
    """A size as Buildah prints it, in bytes.

    >>> bytes_of("171 MB"), bytes_of("1.43 GB")
    (171000000, 1430000000)
    """
    found = re.fullmatch(r"([\d.]+) ?([kKMG]?B)", size)
    if not found:
        raise ImageError(f"{size}: not a size that Buildah prints")
    return round(float(found[1]) * _UNITS[found[2].upper()])
