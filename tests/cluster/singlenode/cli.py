"""The commands of `cluster`."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import access, faults, images, lifecycle, programs, requirements, status
from .buildah import Buildah, Recipe
from .failures import Failure
from .pins import ADDONS, DEFAULT_ADDONS, GO_PROGRAMS
from .places import Cache, State

EPILOG = """\
CLUSTER_NAME (default: main) names the cluster; several can run side by side. Exit codes: 1 a failure, 2 a wrong
command line, 77 no cluster can be had on this machine (the line says why). `exec` ends with the command's own code.
"""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and give the exit code."""
    options = parser().parse_args(words)
    try:
        options.run(options, Cache.default(), _state())
    except Failure as failure:
        print(f"cluster: {failure}", file=sys.stderr)
        return failure.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _state() -> State:
    name = os.environ.get("CLUSTER_NAME", "main")
    if not re.fullmatch("[a-z0-9][a-z0-9-]{0,30}", name):  # part of socket paths, which must stay short
        raise Failure(f"CLUSTER_NAME={name!r}: up to 31 lower-case letters, digits and dashes")
    return State.named(name)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(
        prog="cluster",
        description="A real single-node Kubernetes cluster on a plain Debian machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = root.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, says: str, run: Callable[..., None]) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=says, description=says)
        added.set_defaults(run=run)
        return added

    command("check", "say whether this machine can run a cluster", _check)
    command("build", "install packages, build programs and base images (cached)", _build)
    added = command("program", "build single programs, such as helm, and link them into a folder", _program)
    added.add_argument("names", nargs="+", choices=[program.name for program in GO_PROGRAMS], metavar="NAME")
    added.add_argument("--into", type=Path, required=True, metavar="FOLDER")
    _add_up(command("up", "start the cluster and wait until it is usable; builds first if need be", _up))
    command("down", "end the cluster and delete all it had", lambda _, __, state: lifecycle.down(state))
    added = command(
        "exec", "run a command on the machine's files, in the cluster's network: exec -- CMD…", _exec
    )
    added.add_argument("words", nargs=argparse.REMAINDER, metavar="-- CMD…")
    _add_image(command("image", "build an image; load it if the cluster is up and has another", _image))
    command("buildah", "print the buildah command that has the images of `image` and `load`", _buildah)
    added = command("load", "load images built here, or docker and OCI archives", _load)
    added.add_argument("images", nargs="+", metavar="NAME:TAG|ARCHIVE")
    added = command("start", "add components to the running cluster", _start)
    added.add_argument("addons", nargs="+", choices=ADDONS)
    for name, says, number in (
        ("kill", "SIGKILL; the node starts the component again after a second", signal.SIGKILL),
        ("stop-component", "SIGSTOP: it is there and does nothing", signal.SIGSTOP),
        ("continue", "SIGCONT, after stop-component", signal.SIGCONT),
    ):
        added = command(name, says, _signal)
        added.add_argument("component", help="a component, or `containers`: the processes of all pods")
        added.set_defaults(signal=number)
    command("status", "node and memory", lambda _, cache, state: status.print_status(cache, state))
    added = command("logs", "a component's log; without one, their names", _logs)
    added.add_argument("component", nargs="?", default="")
    added.add_argument("-f", "--follow", action="store_true")
    return root


def _add_up(command: argparse.ArgumentParser) -> None:
    command.add_argument("--with", dest="added", action="append", default=[], choices=ADDONS, metavar="ADDON",
                         help=f"of: {', '.join(ADDONS)}; {' and '.join(DEFAULT_ADDONS)} are there by default")  # fmt: skip
    command.add_argument("--without", action="append", default=[], choices=ADDONS, metavar="ADDON")
    command.add_argument("--timeout", type=float, default=180, metavar="SECONDS")


def _add_image(command: argparse.ArgumentParser) -> None:
    command.add_argument("context", type=Path, help="the folder that COPY reads")
    command.add_argument("tag", metavar="NAME:TAG")
    command.add_argument("-f", "--file", type=Path, help="the Dockerfile; otherwise the context's")
    command.add_argument("--target", default="", help="the stage to build; otherwise the last")
    command.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    command.add_argument("--build-context", action="append", default=[], metavar="NAME=FOLDER")


def _check(_: argparse.Namespace, __: Cache, ___: State) -> None:
    requirements.require()


def _build(_: argparse.Namespace, cache: Cache, __: State) -> None:
    requirements.require()
    lifecycle.build_all(cache)


def _program(options: argparse.Namespace, cache: Cache, __: State) -> None:
    programs.build_some(options.names, options.into.resolve(), cache)


def _up(options: argparse.Namespace, cache: Cache, state: State) -> None:
    addons = [
        name for name in ADDONS if name in (*DEFAULT_ADDONS, *options.added) and name not in options.without
    ]
    lifecycle.up(addons, cache, state, seconds=options.timeout)


def _exec(options: argparse.Namespace, cache: Cache, state: State) -> None:
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        raise Failure("exec -- CMD…: the command is missing")
    access.execute(words, cache, state)


def _image(options: argparse.Namespace, cache: Cache, state: State) -> None:
    recipe = Recipe(
        options.context, options.file, options.target, tuple(options.build_arg), tuple(options.build_context)
    )
    tag = images.full_name(options.tag)
    lifecycle.build_all(cache)  # what the Dockerfile may start from
    images.build_image(tag, recipe, cache, state)
    print(tag)


def _buildah(_: argparse.Namespace, cache: Cache, __: State) -> None:
    print(shlex.join(map(str, Buildah(cache).command)))


def _load(options: argparse.Namespace, cache: Cache, state: State) -> None:
    for image in options.images:
        if Path(image).is_file():
            images.load_archive(Path(image).resolve(), state)
        else:
            images.load_image(images.full_name(image), cache, state)


def _start(options: argparse.Namespace, cache: Cache, state: State) -> None:
    faults.start(options.addons, cache, state, seconds=120)


def _signal(options: argparse.Namespace, _: Cache, state: State) -> None:
    faults.send(options.signal, options.component, state)


def _logs(options: argparse.Namespace, _: Cache, state: State) -> None:
    status.show_log(options.component, state, follow=options.follow)
