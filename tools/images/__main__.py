"""The commands of ``python -m tools.images``."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.images import building, mirror, wheels
from tools.images.engines import engine
from tools.images.lock import MACHINES, ImageError
from tools.images.targets import TARGETS, Target


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns 2 with the reason on standard error if it cannot be done."""
    given = _parser().parse_args(arguments)
    try:
        given.run(given)
    except ImageError as cause:
        print(f"images: {cause}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.images", description="Build the container images.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser(
        "wheels", help="download what the images install; the only step with a network"
    )
    command.set_defaults(run=_wheels)
    _add_targets(command)
    command.add_argument(
        "--arch", choices=MACHINES, default=_own_architecture(), help="of the images; default: this machine's"
    )

    command = commands.add_parser("build", help="build images from the downloaded wheels, without a network")
    command.set_defaults(run=_build)
    _add_targets(command)
    _add_engine(command)
    command.add_argument("--base", action="append", default=[], metavar="NAME=IMAGE", type=_pair,
                         help="a base image, such as PYTHON_IMAGE=registry.example.com/python:3.11@sha256:…")  # fmt: skip
    command.add_argument("--release", action="store_true", help="refuse base images without a digest")
    command.add_argument("--save", type=Path, metavar="FOLDER", help="also write FOLDER/TARGET.tar")
    command.add_argument("--no-cache", action="store_true", help="build all layers anew")

    command = commands.add_parser("sizes", help="print a table of sizes and build times")
    command.set_defaults(run=lambda given: print(building.sizes(engine(given.engine), given.registry)))
    _add_engine(command)

    command = commands.add_parser(
        "mirror-list", help="print every image that charts, manifests and Dockerfile name"
    )
    command.set_defaults(run=lambda _: print("\n".join(mirror.images())))
    return parser


def _add_targets(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default: all"
    )


def _add_engine(command: argparse.ArgumentParser) -> None:
    command.add_argument("--engine", default="", metavar="COMMAND",
                         help="docker or buildah, with options; default: docker if its daemon answers, else buildah")  # fmt: skip
    command.add_argument("--registry", default=building.REGISTRY,
                         help="prefix of the images' names, such as registry.example.com/team; default: %(default)s")  # fmt: skip


def _own_architecture() -> str:
    return next((name for name, machine in MACHINES.items() if machine == platform.machine()), "amd64")


def _pair(text: str) -> tuple[str, str]:
    name, equals, image = text.partition("=")
    if not (name and equals and image):
        raise argparse.ArgumentTypeError(f"{text}: give NAME=IMAGE")
    return name, image


def _targets(names: Sequence[str]) -> list[Target]:
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        raise ImageError(f"no image {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    return [TARGETS[name] for name in names or TARGETS]


def _wheels(given: argparse.Namespace) -> None:
    wheels.prepare(_targets(given.targets), given.arch)


def _build(given: argparse.Namespace) -> None:
    builder, targets = engine(given.engine), _targets(given.targets)
    options = ["--no-cache"] if given.no_cache else []
    building.build(
        builder, targets, dict(given.base), registry=given.registry, release=given.release, options=options
    )
    if given.save:
        building.save(builder, targets, given.registry, given.save)


if __name__ == "__main__":
    sys.exit(main())
