"""The images that every cluster has at hand: bases for Dockerfiles, and programs alone in an image."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .buildah import Buildah, Recipe
from .pins import HELM, UV, VERSITYGW
from .places import Cache
from .processes import run
from .stamps import digest, is_fresh, locked

PAUSE_IMAGE = "localhost/pause:1"
PYTHON_IMAGE = "localhost/python:3.11-bookworm"

_PYTHON_PACKAGES = "python3,ca-certificates,netbase,tzdata"
_PYTHON = """\
FROM scratch
ADD rootfs.tar /
ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin LANG=C.UTF-8 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
CMD ["python3"]
"""
_UNWANTED = ("man", "doc", "locale", "info", "lintian")


@dataclass(frozen=True)
class Base:
    """An image that is made here.

    Attributes:
        tag: Its name.
        dockerfile: The text of its Dockerfile.
        fill: Puts what the Dockerfile copies into a folder.
        made_from: What decides, with the Dockerfile, whether it must be made again.
    """

    tag: str
    dockerfile: str
    fill: Callable[[Cache, Path], None]
    made_from: Callable[[Cache], str]

    def stamp(self, cache: Cache) -> Path:
        """Where is noted what it was made from."""
        return cache.stamps / self.tag.replace("/", "_")


def build_bases(cache: Cache) -> None:
    """Build the base images that are out of date."""
    with locked(cache.root / "image.lock"):
        for base in BASES:
            _build_once(base, cache)


def _build_once(base: Base, cache: Cache) -> None:
    buildah = Buildah(cache)
    wanted = digest(base.dockerfile, base.made_from(cache))
    if is_fresh(base.stamp(cache), wanted) and buildah.has(base.tag):
        return
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=cache.root) as folder:
        base.fill(cache, Path(folder))
        Path(folder, "Dockerfile").write_text(base.dockerfile)
        buildah.build(base.tag, Recipe(Path(folder)))
    base.stamp(cache).write_text(wanted)
    print(f"built {base.tag} in {time.monotonic() - began:.0f} s", flush=True)


def _program_alone(tag: str, name: str, at: str = "", user: str = "0:0") -> Base:
    """An image with nothing but the program *name*, in the root or in the folder *at*."""
    path = f"{at}/{name}"
    return Base(
        tag,
        f'FROM scratch\nCOPY {name} {path}\nUSER {user}\nENTRYPOINT ["{path}"]\n',
        fill=lambda cache, folder: _copy(cache.programs / name, folder),
        made_from=lambda cache: (cache.stamps / name).read_text(),
    )


def _copy(program: Path, folder: Path) -> None:
    shutil.copy(program, folder / program.name)


def _debian_with_python(_: Cache, folder: Path) -> None:
    run(
        "mmdebstrap", "--variant=minbase", f"--include={_PYTHON_PACKAGES}", "--quiet",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _UNWANTED),
        "--customize-hook=rm -rf $1/var/lib/apt/lists/* $1/var/cache/apt/* $1/var/log/*.log $1/var/log/apt",
        "--customize-hook=ln -sf python3 $1/usr/bin/python",
        "bookworm", folder / "rootfs.tar",
    )  # fmt: skip


def _uv_from_its_wheel(_: Cache, folder: Path) -> None:
    """The wheel for musl holds a static program, which runs in any image."""
    run(
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--only-binary=:all:", "--platform=musllinux_1_1_x86_64", f"--dest={folder}", f"uv=={UV}",
    )  # fmt: skip
    with zipfile.ZipFile(next(folder.glob("uv-*.whl"))) as wheel:
        (folder / "uv").write_bytes(wheel.read(f"uv-{UV}.data/scripts/uv"))
    (folder / "uv").chmod(0o755)


BASES = (
    _program_alone(PAUSE_IMAGE, "pause", user="65535:65535"),
    _program_alone(f"localhost/fairlead/versitygw:{VERSITYGW}", "versitygw", user="65532:65532"),
    _program_alone(f"localhost/helm:{HELM}", "helm", at="/usr/bin"),
    Base(
        f"localhost/uv:{UV}",
        'FROM scratch\nCOPY uv /uv\nENTRYPOINT ["/uv"]\n',
        fill=_uv_from_its_wheel,
        made_from=lambda _: UV,
    ),
    Base(PYTHON_IMAGE, _PYTHON, fill=_debian_with_python, made_from=lambda _: _PYTHON_PACKAGES),
)
