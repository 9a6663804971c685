"""``fairlead demo``: the fraud example from data to a served prediction, with nothing prepared."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import typer

from fairlead.cli.options import Place
from fairlead.cli.show import installed, say

NAME = "demo"
EXAMPLES = "Examples:  fairlead demo   |   fairlead demo --example spam --folder /tmp/spam"


def command(
    example: Annotated[str, typer.Option(help="Which example.")] = "fraud",
    folder: Annotated[
        Path, typer.Option(help="Folder to work in; what is there of an earlier demo is reused.")
    ] = Path(".fairlead/demo"),
) -> None:
    """Run an example end to end: data, plan, run, gates, bundle, server, real requests, and releases of two more versions."""
    from fairlead.cli.demo_releases import release_two_versions
    from fairlead.cli.plan import show_plan
    from fairlead.cli.run import run_project, show_result

    place = prepare(example, folder.resolve() / example)
    heading("1  what a run would do")
    show_plan(place)
    heading("2  run: data → search → model → gates → bundle")
    result = run_project(place)
    show_result(place, result)
    heading("3  serve the champion and ask it")
    ask_the_champion(place)
    if example == "fraud":
        heading("4  release a good version, and a bad one")
        release_two_versions(place)
    heading(f"{5 if example == 'fraud' else 4}  where to look")
    say(f"project file:   {place.root / 'fairlead.yaml'}")
    say(f"report page:    {result.folder / 'pages' / 'model.html'}")
    say(f"MLflow:         {installed('mlflow')} ui --backend-store-uri {place.settings().tracking_uri}")
    say(f"serve again:    {installed('fairlead')} serve -C {place.root}")
    if example == "fraud":
        say(f"releases again: {installed('fairlead')} serve --releases -C {place.root}")
        say(f"what was seen:  {installed('fairlead')} release explain -C {place.root}")


def heading(text: str) -> None:
    """Print a heading."""
    say(f"\n── {text} " + "─" * max(0, 74 - len(text)))


def prepare(example: str, root: Path) -> Place:
    """The example in *root*, with its data generated."""
    from fairlead.cli.demo_releases import add_plan
    from fairlead.cli.examples import copy_example

    heading(f"0  the example {example}")
    if not (root / "fairlead.yaml").exists():
        copy_example(example, root)
        if example == "fraud":
            add_plan(root)
    place = Place(root)
    if not (root / place.project().data.source.uri).exists():
        started = time.monotonic()
        subprocess.run([sys.executable, "generate.py"], cwd=root, check=True)
        say(f"generated its data in {time.monotonic() - started:.1f} s")
    say(f"in {root}")
    return place


def ask_the_champion(place: Place) -> None:
    """Start the champion's Bento, send it a good and a bad request, and stop it."""
    from fairlead.cli.serve import bundle_folder

    folder = bundle_folder(place, None)
    requests = json.loads((folder / "attestations" / "examples.json").read_text(encoding="utf-8"))
    with serving(folder) as url:
        say(f"POST {url}/predict")
        say(f"  {_short(requests['rows'][0])}")
        say(f"  → {_short(_post(f'{url}/predict', {'rows': requests['rows'][:1]}))}")
        say("the same with a misspelt field:")
        wrong = dict(requests["rows"][0])
        wrong["amuont"] = wrong.pop(next(iter(wrong)))
        say(f"  → {_short(_post(f'{url}/predict', {'rows': [wrong]}))}")
        say(f"GET {url}/v2/models/{place.project().name}  (Open Inference Protocol)")
        say(f"  → {_short(_get(f'{url}/v2/models/{place.project().name}'))}")


@contextmanager
def serving(folder: Path, seconds: float = 60.0) -> Iterator[str]:
    """Serve a bundle on a free port for the time of the block; yields its URL.

    Raises:
        ServiceError: The server is not ready within *seconds*; its last lines are in the message.
    """
    import os

    from fairlead.adapters.bentos import free_port, serve_command, wait_until_ready

    port = free_port()
    arguments, environment = serve_command(folder, port=port, host="127.0.0.1")
    log = folder.parent / f".serve-{port}.log"
    started = time.monotonic()
    with log.open("wb") as output:
        server = subprocess.Popen(arguments, env={**os.environ, **environment}, stdout=output, stderr=output)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", server, log, seconds)
        say(f"ready after {time.monotonic() - started:.1f} s")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            server.kill()
        log.unlink(missing_ok=True)


def _post(url: str, body: Any) -> Any:
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310 - our own server
    try:
        with urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)
    except HTTPError as refused:
        return {"status": refused.code, **json.load(refused)}


def _get(url: str) -> Any:
    with urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
        return json.load(answer)


def _short(value: Any, limit: int = 300) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[:limit]}…"
