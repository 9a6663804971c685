"""What the lock says about an image: its packages, and one wheel for each."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from tools.images.targets import LOCK, ROOT, Target

PYTHON = (3, 11)
GLIBC_MINOR = 36
"""Of the base image: Debian 12 has glibc 2.36."""
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Architectures as images call them, and as Linux and wheels do."""


class ImageError(Exception):
    """Something the user can put right; the message says how."""


SOURCE_ONLY = frozenset({"kfp-server-api"})
"""Published without a wheel, and pure Python: the wheel is made beside the others, from the archive that the lock names."""


@dataclass(frozen=True)
class Pin:
    """A package of an image: one version, one wheel."""

    name: str
    version: str
    wheel: str
    """The wheel's file name."""
    url: str
    """Where the lock has it from; the source archive if there is no wheel."""
    sha256: str
    """Of what *url* names; of the wheel once there is one."""

    @property
    def line(self) -> str:
        """A line of a requirements file that only this wheel satisfies.

        >>> Pin("x", "1.0", "x-1.0-py3-none-any.whl", "https://example.org/x", "ab").line
        'x==1.0 --hash=sha256:ab'
        """
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


def pins(target: Target, architecture: str) -> list[Pin]:
    """Every package from an index that *target* has on *architecture*, by name.

    Raises:
        ImageError: A package has no wheel that runs there. Images have no compiler.
    """
    found = {canonicalize_name(r.name): str(r.specifier) for r in _requirements(target, architecture)}
    return [_pin(name, found[name].removeprefix("=="), architecture) for name in sorted(found)]


def export(target: Target, form: str) -> str:
    """The lock's part for *target*, all platforms, as uv writes it in format *form*."""
    alone = {package for package, _ in target.alone}
    with_all = (*target.extras, *(extra for _, extra in target.alone))
    surplus = _names(with_all) - _names(target.extras) - alone if alone else set()
    return _uv_export(form, with_all, tuple(sorted(surplus)))


def _names(extras: tuple[str, ...]) -> set[str]:
    return {canonicalize_name(r.name) for r in _parse(_uv_export("requirements.txt", extras, ()))}


def _requirements(target: Target, architecture: str) -> list[Requirement]:
    """What of the export applies to Linux, CPython and *architecture*."""
    where = environment(architecture)
    exported = _parse(export(target, "requirements.txt"))
    return [r for r in exported if r.marker is None or r.marker.evaluate(where)]


def _parse(text: str) -> list[Requirement]:
    return [Requirement(line) for line in text.splitlines()]


@cache
def _uv_export(form: str, extras: tuple[str, ...], prune: tuple[str, ...]) -> str:
    # With the project a requirements file would have its folder; an SBOM then says what it depends on.
    project = ["--no-emit-project"] if form == "requirements.txt" else []
    options = ["--frozen", "--no-dev", "--no-header", "--no-annotate", "--no-hashes", "--quiet", *project]
    choice = [f"--extra={extra}" for extra in extras] + [f"--prune={name}" for name in prune]
    return run([uv(), "export", f"--format={form}", *options, *choice])


def uv() -> str:
    """The uv of the environment variable ``UV``, of the PATH, or the one that the Makefile fetches.

    Raises:
        ImageError: None of them is there.
    """
    own = ROOT / ".tools/bin/uv"
    found = os.environ.get("UV") or shutil.which("uv") or (str(own) if own.exists() else None)
    if not found:
        raise ImageError("uv is not there: put it on the PATH, or run `make .tools/bin/uv`")
    return found


def run(command: Sequence[str], **environment: str) -> str:
    """Run *command* in the project's folder and return what it wrote.

    Raises:
        ImageError: It failed; its own words are in the message.
    """
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ImageError(f"`{' '.join(command[:3])} …` failed:\n{done.stderr.strip()}")
    return done.stdout


# ------------------------------------------------------------------------------------------- one wheel each


def environment(architecture: str) -> dict[str, str]:
    """What requirement markers see inside an image."""
    version = ".".join(map(str, PYTHON))
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{version}.0",
        "os_name": "posix",
        "platform_machine": MACHINES[architecture],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{version}.0",
        "python_version": version,
        "sys_platform": "linux",
    }


def platforms(architecture: str) -> list[str]:
    """Platform tags of wheels that run in an image, best first.

    >>> platforms("amd64")[0], platforms("amd64")[-1]
    ('manylinux_2_36_x86_64', 'linux_x86_64')
    """
    machine = MACHINES[architecture]
    numbered = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC_MINOR, 4, -1)]
    named = [f"{name}_{machine}" for name in ("manylinux2014", "manylinux2010", "manylinux1")]
    return [*numbered, *named, f"linux_{machine}"]


@cache
def _ranks(architecture: str) -> dict[Tag, int]:
    """Every wheel tag that fits, and its place in the order of preference."""
    tags = [
        *cpython_tags(PYTHON, platforms=platforms(architecture)),
        *compatible_tags(PYTHON, interpreter="cp311", platforms=platforms(architecture)),
    ]
    return {tag: rank for rank, tag in reversed(list(enumerate(tags)))}


@cache
def _locked() -> dict[tuple[str, str], dict[str, Any]]:
    """The lock's entry for every version of a package."""
    packages = tomllib.loads(LOCK.read_text(encoding="utf-8"))["package"]
    return {(package["name"], package["version"]): package for package in packages}


def _pin(name: str, version: str, architecture: str) -> Pin:
    package = _locked()[name, version]
    if name in SOURCE_ONLY:
        wheel = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        return Pin(
            name, version, wheel, package["sdist"]["url"], package["sdist"]["hash"].removeprefix("sha256:")
        )
    ranked = sorted(_fitting(package.get("wheels", []), architecture))
    if not ranked:
        raise ImageError(
            f"{name} {version} has no wheel for Python 3.11 on {architecture} with glibc 2.{GLIBC_MINOR}, and images have no "
            f"compiler: lock a version that has one (uv lock --upgrade-package {name}==…)"
        )
    _, wheel, url, sha256 = ranked[0]
    return Pin(name, version, wheel, url, sha256)


def _fitting(wheels: list[dict[str, Any]], architecture: str) -> Iterator[tuple[int, str, str, str]]:
    ranks = _ranks(architecture)
    for wheel in wheels:
        filename = wheel["url"].rsplit("/", 1)[-1]
        fitting = [ranks[tag] for tag in parse_wheel_filename(filename)[3] if tag in ranks]
        if fitting:
            yield min(fitting), filename, wheel["url"], wheel["hash"].removeprefix("sha256:")
