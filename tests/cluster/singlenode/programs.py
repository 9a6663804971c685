"""Makes the cluster's programs: Debian packages installed, Go modules built, each once."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .pins import CRDS, GO_PROGRAMS, KUBE_NAMES, GoProgram
from .places import HERE, Cache
from .processes import run
from .requirements import missing_packages
from .stamps import digest, is_fresh, locked


def build(cache: Cache) -> None:
    """Install what is missing and build what is out of date. A second call takes under a second."""
    with locked(cache.root / "build.lock"):
        if missing := missing_packages():
            install(missing)
        cache.archives.mkdir(parents=True, exist_ok=True)
        _build_programs([program.name for program in GO_PROGRAMS], cache)
        for name in KUBE_NAMES:
            if not (cache.programs / name).is_symlink():
                (cache.programs / name).symlink_to("kube")


def build_some(names: Sequence[str], folder: Path, cache: Cache) -> None:
    """Build the programs *names* and link them into *folder*. Needs Go and nothing else, no cluster and no root."""
    with locked(cache.root / "build.lock"):
        _build_programs(names, cache)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(cache.programs / name)


def _build_programs(names: Sequence[str], cache: Cache) -> None:
    for folder in (cache.programs, cache.stamps):
        folder.mkdir(parents=True, exist_ok=True)
    compiler = run("go", "version")
    for program in GO_PROGRAMS:
        if program.name in names:
            _build_once(program, compiler, cache)


def _build_once(program: GoProgram, compiler: str, cache: Cache) -> None:
    sources = [HERE / "go" / program.module] if program.module else []
    wanted = digest(compiler, program.package, program.flags, program.tags, *sources)
    stamp = cache.stamps / program.name
    if (cache.programs / program.name).exists() and is_fresh(stamp, wanted):
        return
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=cache.root) as folder:
        built = _compile(program, Path(folder))
        built.replace(cache.programs / program.name)  # a program that runs keeps its old file
    stamp.write_text(wanted)
    print(f"built {program.name} in {time.monotonic() - began:.0f} s", flush=True)


def _compile(program: GoProgram, folder: Path) -> Path:
    """Build *program* into *folder* and give the file, whatever Go called it."""
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOBIN": str(folder)}
    options = ["-trimpath", f"-ldflags=-s -w {program.flags}", f"-tags={program.tags}"]
    if program.module:
        module = HERE / "go" / program.module
        output = folder / program.name
        run("go", "build", *options, "-o", output, program.package, cwd=module, env=environment, show=True)
    else:
        run("go", "install", *options, program.package, cwd="/", env=environment, show=True)
    return next(folder.iterdir())


def crd_files() -> list[Path]:
    """Files and folders with the custom resource definitions, in Go's module cache."""
    module_root = HERE / "go" / "traefik"
    found = []
    for module, path in CRDS.items():
        folder = run("go", "list", "-m", "-f", "{{.Dir}}", module, cwd=module_root)
        if not folder:  # the module cache was cleaned since the build
            run("go", "mod", "download", module, cwd=module_root)
            folder = run("go", "list", "-m", "-f", "{{.Dir}}", module, cwd=module_root)
        found.append(Path(folder, path))
    return found


def install(packages: list[str]) -> None:
    """Install Debian *packages* without their daemons starting on the machine itself."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    print(f"installing {' '.join(packages)}", flush=True)
    with _no_daemons():
        run("apt-get", "update", "-qq", env=environment)
        run(
            "apt-get",
            "install",
            "-y",
            "-qq",
            "--no-install-recommends",
            "--no-remove",
            *packages,
            env=environment,
        )


@contextmanager
def _no_daemons() -> Iterator[None]:
    """Debian's maintainer scripts ask this file whether they may start a service: the answer is no."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():  # somebody has an opinion already
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()
