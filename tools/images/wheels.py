"""Bring together what an image build installs: every wheel by the lock, the project's own, requirements and SBOMs."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tools.images import sbom
from tools.images.lock import SOURCE_ONLY, ImageError, Pin, pins, platforms, run, uv
from tools.images.provenance import epoch, version
from tools.images.targets import OUT, WHEELS, Target

PIP = "pip==25.3"
"""Downloads wheels for another platform and checks their hashes, which uv does not offer."""


def prepare(targets: Iterable[Target], architecture: str) -> None:
    """Write requirements and SBOM of each target and make sure that their wheels are here.

    What is already here and has the right hash is not downloaded again, so an interrupted run goes on where it was.

    Raises:
        ImageError: A package has no fitting wheel, or a download failed.
    """
    WHEELS.mkdir(parents=True, exist_ok=True)
    chosen = {target: pins(target, architecture) for target in targets}
    every = {pin.wheel: pin for wanted in chosen.values() for pin in wanted}
    download([pin for pin in every.values() if pin.name not in SOURCE_ONLY], architecture)
    made = {pin: make(pin) for pin in every.values() if pin.name in SOURCE_ONLY}
    own = project_wheel()
    _write(OUT / "project.txt", f"{own.line}\n")
    for target, wanted in chosen.items():
        packages = [made.get(pin, pin) for pin in wanted]
        _write(OUT / f"{target.name}.txt", "".join(f"{pin.line}\n" for pin in packages))
        _write(OUT / f"{target.name}.cdx.json", sbom.document(target, [*packages, *[own] * target.project]))


def download(wanted: Iterable[Pin], architecture: str) -> None:
    """Download the wheels of *wanted* that are not here.

    Raises:
        ImageError: pip could not.
    """
    missing = [pin for pin in wanted if not _is_here(pin)]
    if not missing:
        return
    print(f"downloading {len(missing)} wheels", file=sys.stderr, flush=True)
    where = [f"--platform={tag}" for tag in platforms(architecture)]
    kind = [
        "--only-binary=:all:",
        "--python-version=3.11",
        "--implementation=cp",
        "--abi=cp311",
        "--abi=abi3",
        "--abi=none",
    ]
    _pip("download", missing, [*kind, *where, f"--dest={WHEELS}"])
    lost = [pin.wheel for pin in missing if not _is_here(pin)]
    if lost:
        raise ImageError(f"downloaded, but not as the lock names it: {', '.join(lost)}")


def make(pin: Pin) -> Pin:
    """*pin* with its wheel, which is made from the source archive that the lock names, unless it is here."""
    path = WHEELS / pin.wheel
    if not path.exists():
        print(f"making {pin.wheel} from source", file=sys.stderr, flush=True)
        _pip("wheel", [pin], ["--no-binary=:all:", f"--wheel-dir={WHEELS}"])
    if not path.exists():
        raise ImageError(
            f"{pin.name} {pin.version} did not become {pin.wheel}: its code is not pure Python any more"
        )
    return replace(pin, sha256=_sha256(path))


def _pip(command: str, wanted: Sequence[Pin], options: Sequence[str]) -> None:
    """Run pip on exactly *wanted*, by hash."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write("".join(f"{pin.line}\n" for pin in wanted))
        requirements.flush()
        pip = [uv(), "tool", "run", "--from", PIP, "pip", command, "--quiet", "--no-input"]
        exact = ["--no-deps", "--require-hashes", f"--requirement={requirements.name}"]
        run([*pip, *exact, *options], SOURCE_DATE_EPOCH=str(epoch()))


def _is_here(pin: Pin) -> bool:
    path = WHEELS / pin.wheel
    return path.exists() and _sha256(path) == pin.sha256


def project_wheel() -> Pin:
    """Build the project's own wheel; the same sources at the same commit give the same bytes."""
    run([uv(), "build", "--wheel", "--quiet", f"--out-dir={WHEELS}"], SOURCE_DATE_EPOCH=str(epoch()))
    path = WHEELS / f"fairlead-{version()}-py3-none-any.whl"
    return Pin("fairlead", version(), path.name, "", _sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, text: str) -> None:
    """Write *text*; a file that already says so keeps its date, and the build cache its layer."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.rename(path)
