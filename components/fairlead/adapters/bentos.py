"""BentoML: building Bentos, serving them, and asking the model inside one.

Building happens in a process of its own. BentoML imports the service to describe it, changes the working directory and
``sys.path`` while it does, and keeps its settings in module state; a fresh interpreter leaves the caller and other builds
alone, and proves that the code inside the bundle is enough to import the service. BentoML's home is a temporary folder, so
that nobody's own store is touched, and it reports to nobody.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.errors import DataError, ExportError, NotFound

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fairlead.records import ModelVersion, Store
    from fairlead.schema import Batch, Output, Schema

_MINUTES = 5
"""A process started here takes seconds; one that takes longer than this waits for something that will not come."""

_BUILD = """
import json, sys
import bentoml

options = json.loads(sys.argv[1])
built = bentoml.build(
    "service:svc",
    name=options["name"],
    version=options["version"],
    build_ctx=options["source"],
    include=["*"],
    python={"packages": options["packages"], "lock_packages": False},
    docker={"distro": "debian", "python_version": options["python"]},
)
print(json.dumps({"path": str(built.path)}))
"""


class BentomlBuilder:
    """Fulfils :class:`fairlead.records.BentoBuilder`."""

    def build(
        self, source: Path, to: Path, *, name: str, version: str, requirements: Mapping[str, str]
    ) -> None:
        """Build ``name:version`` from *source* into *to*, which must not exist.

        Raises:
            ExportError: BentoML refused; its last words are in the message.
        """
        with tempfile.TemporaryDirectory(prefix="fairlead-bentoml-") as home:
            options = {
                "name": name,
                "version": version,
                "source": str(source),
                "packages": packages_of(requirements),
                "python": requirements["python"],
            }
            command = [sys.executable, "-c", _BUILD, json.dumps(options)]
            _run(command, _build_environment(Path(home), source), f"build {name}")
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(Path(home, "bentos", name, version), to)


def packages_of(requirements: Mapping[str, str]) -> list[str]:
    """Pins for pip, sorted. BentoML adds itself, in the version that builds.

    >>> packages_of({"python": "3.11", "orjson": "3.11.4", "numpy": "2.4.6", "bentoml": "1.4.39"})
    ['numpy==2.4.6', 'orjson==3.11.4']
    """
    return [
        f"{name}=={requirements[name]}" for name in sorted(requirements) if name not in ("python", "bentoml")
    ]


def _build_environment(home: Path, source: Path) -> dict[str, str]:
    """The caller's environment without its BentoML settings and with a private home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BENTOML_")}
    return {
        **kept,
        **_quiet(home),
        "PATH": _path_with_uv(home),
        # The bundle's own code first: an import it lacks is found here, not by its first user.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(source), kept.get("PYTHONPATH", "")])),
    }


def _quiet(home: Path) -> dict[str, str]:
    return {
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "true",
        "BENTOML_BUNDLE_LOCAL_BUILD": "false",
        "PYTHONDONTWRITEBYTECODE": "1",  # a bundle's files stay as they were when they were counted
    }


def _path_with_uv(home: Path) -> str:
    """``PATH`` on which something is called ``uv``.

    BentoML looks for uv before it looks whether it will need it, and installs it with pip if it is not there. Requirements
    are not locked here (they are pins already), so it is never run.
    """
    path = os.environ.get("PATH", os.defpath)
    if shutil.which("uv"):
        return path
    folder = home / "bin"
    folder.mkdir()
    stand_in = folder / "uv"
    stand_in.write_text(
        "#!/bin/sh\necho 'fairlead: nothing should run uv here' >&2\nexit 1\n", encoding="utf-8"
    )
    stand_in.chmod(0o700)
    return os.pathsep.join([path, str(folder)])


def _run(command: list[str], environment: dict[str, str], what: str) -> None:
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60 * _MINUTES, check=False
        )
    except subprocess.TimeoutExpired as cause:
        raise ExportError(f"could not {what} within {_MINUTES} minutes") from cause
    if done.returncode != 0:
        last = [line for line in done.stderr.strip().splitlines() if line.strip()][-6:]
        raise ExportError(
            f"could not {what}: {last[-1] if last else 'no reason given'}", hint="\n".join(last[:-1])
        )


# -------------------------------------------------------------------------------------------------- serving


def serve_command(bundle: Path, *, port: int, host: str = "127.0.0.1") -> tuple[list[str], dict[str, str]]:
    """How to serve a bundle with BentoML on this machine.

    Args:
        bundle: The bundle's folder.
        port: TCP port.
        host: Address to listen on.

    Returns:
        The command, its first word an absolute path, and the variables to add to the environment.
    """
    command = [
        sys.executable,
        "-m",
        "bentoml",
        "serve",
        str(bundle / "bento"),
        "--port",
        str(port),
        "--host",
        host,
    ]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return command, _quiet(cache / "fairlead" / "bentoml")


# ------------------------------------------------------------------------------------------- asking a model


class OpenedBundle:
    """The model inside a bundle, opened by the code that serves it. Fulfils :class:`fairlead.records.Champion`."""

    def __init__(
        self, version: ModelVersion, schema: Schema, predict: Callable[[Batch], NDArray[np.float64]]
    ) -> None:
        """Answer as the bundle of *version* does, by *predict*."""
        self.version = version.version
        self.digest = version.digest
        self.output: Output = schema.output
        self._schema = schema
        self._predict = predict

    def answers(self, columns: Mapping[str, Any]) -> NDArray[np.float64]:
        """Answers to request rows given as columns (name to values), shape as in ``fairlead.schema.answers``.

        Raises:
            DataError: A column that the model reads is not there.
        """
        from fairlead.schema.encode import encode

        try:
            batch = encode(self._schema, columns)
        except KeyError as cause:
            raise DataError(
                f"the model reads a column {cause.args[0]!r}, which these rows do not have"
            ) from cause
        return self._predict(batch)


def open_bundle(version: ModelVersion, store: Store) -> OpenedBundle:
    """Fetch a registered version's bundle from the store, verify it and open its model.

    Raises:
        NotFound: The store does not have it.
        IntegrityError: It is not what its digest says.
    """
    from fairlead.bundle.verify import verify
    from fairlead.serve.loading import load, read_schema

    if not store.has("bundles", version.digest):
        raise NotFound(
            f"the bundle {version.digest[:16]} of {version.name} version {version.version} is not in the store",
            hint="It is at " + version.uri
            if version.uri
            else "Register the model again by running the project.",
        )
    scratch = tempfile.mkdtemp(prefix="fairlead-champion-")
    folder = Path(scratch) / "bundle"
    store.get("bundles", version.digest, folder)
    verify(folder)
    source = folder / "bento" / "src"
    has_code = (source / "bundle" / "code").is_dir()
    predict = partial(_ask_in_own_process, source) if has_code else load(source / "bundle").answers
    opened = OpenedBundle(version, read_schema(source / "bundle"), predict)
    weakref.finalize(opened, shutil.rmtree, scratch, ignore_errors=True)
    return opened


_ASK = """
import sys
from pathlib import Path
import numpy
from fairlead.heldout import load_heldout
from fairlead.serve.loading import load

rows, _ = load_heldout(Path(sys.argv[2]))
numpy.save(sys.argv[3], load(Path(sys.argv[1]) / "bundle").answers(rows), allow_pickle=False)
"""


def _ask_in_own_process(source: Path, batch: Batch) -> NDArray[np.float64]:
    """Ask a model that needs its project's code, as it was when the model was trained.

    In this process the same module names may already stand for today's code, and the model would be asked with that.
    """
    import numpy as np

    from fairlead.heldout import MAX_ROWS, save_heldout

    parts = []
    for start in range(0, max(1, len(batch)), MAX_ROWS):
        with tempfile.TemporaryDirectory(prefix="fairlead-ask-") as scratch:
            rows, answers = Path(scratch) / "rows.npz", Path(scratch) / "answers.npy"
            few = batch.take(slice(start, start + MAX_ROWS))
            save_heldout(rows, few, np.empty((len(few), 0)))
            # -P: the working directory, perhaps the project's own, is not searched for modules.
            command = [sys.executable, "-P", "-c", _ASK, str(source), str(rows), str(answers)]
            _run(command, {**os.environ, "PYTHONPATH": str(source)}, "ask the champion")
            parts.append(np.load(answers, allow_pickle=False))
    found: NDArray[np.float64] = np.concatenate(parts)
    return found
