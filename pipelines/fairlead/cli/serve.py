"""``fairlead serve``: serve a registered model on this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.options import Place, ProjectFolder, place_of
from fairlead.cli.show import say

if TYPE_CHECKING:
    from fairlead.release.journal import Outcome

NAME = "serve"
EXAMPLES = (
    "Examples:  fairlead serve   |   fairlead serve --version 3 --port 9000   |   fairlead serve --releases"
)


def command(
    project: ProjectFolder = Path(),
    version: Annotated[int | None, typer.Option(help="Version to serve. Default: the champion.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    releases: Annotated[
        bool,
        typer.Option("--releases", help="Serve two slots behind a router, so that versions can be released."),
    ] = False,
) -> None:
    """Serve the champion, or another version, with BentoML until interrupted."""
    from fairlead.adapters.bentos import serve_command

    place = place_of(project)
    if releases:
        serve_releases(place, version, host=host, port=port)
        return
    bundle = bundle_folder(place, version)
    refuse_taken_port(host, port)
    arguments, environment = serve_command(bundle, port=port, host=host)
    say(f"serving {bundle.name[:16]} at http://{host}:{port}  (POST /predict; stop with Ctrl-C)")
    os.execve(arguments[0], arguments, {**os.environ, **environment})  # noqa: S606 - the server takes over this process


def serve_releases(place: Place, version: int | None, *, host: str, port: int) -> None:
    """Serve by two slots until interrupted: what was live here before, or the champion."""
    from fairlead.cli.driver import stopped_by_signals
    from fairlead.cli.release import candidate_of, release_of
    from fairlead.local.serving import LocalServing

    refuse_taken_port(host, port)
    release = release_of(place)
    release.install(place.project())
    if version is not None or not release.desired():
        release.desire(candidate_of(place, "champion" if version is None else str(version)))
    wait = stopped_by_signals()
    with LocalServing(release, host=host, port=port, ended=told(place)) as serving:
        say(f"two slots behind {serving.url}; `fairlead release start` releases a version (stop with Ctrl-C)")
        serving.run(wait)


def told(place: Place) -> Callable[[Outcome], None]:
    """What is done with each outcome of a release: it is shown, and the alias ``champion`` follows what is live."""
    from fairlead.release.journal import What

    def ended(outcome: Outcome) -> None:
        say(f"{outcome.revision}  {outcome.what.value}: {outcome.why}")
        if outcome.what not in (What.SWITCHED, What.ROLLED_BACK):
            return
        registry, name = place.registry(), place.project().name
        version = registry.find(name, outcome.revision)
        if "champion" not in version.aliases:
            registry.promote(name, version.version, by="release", why=outcome.why)

    return ended


def bundle_folder(place: Place, version: int | None) -> Path:
    """Where the bundle of *version* (None: the champion) is, verified.

    Raises:
        NotFound: There is no such version, or no champion yet.
    """
    from fairlead.bundle.verify import verify
    from fairlead.errors import NotFound

    name = place.project().name
    registry = place.registry()
    chosen = registry.champion(name) if version is None else registry.version(name, version)
    if chosen is None:
        raise NotFound(f"model {name!r} has no champion yet", hint="`fairlead run` trains and registers one.")
    folder = place.bundle(chosen.digest, chosen.uri)
    verify(folder)
    return folder


def refuse_taken_port(host: str, port: int) -> None:
    """Raise ServiceError if something listens there already: said before the model is loaded, not after."""
    from fairlead.errors import ServiceError

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as cause:
            raise ServiceError(
                f"port {port} on {host} cannot be used: {cause.strerror}",
                hint="Choose another one with --port.",
            ) from cause
