"""BentoML: building Bentos, serving them, and asking the model inside one.

Building happens in a process of its own. BentoML imports the service to describe it, changes the working directory and
``sys.path`` while it does, and keeps its settings in module state; a fresh interpreter leaves the caller and other builds
alone, and proves that the code inside the bundle is enough to import the service. BentoML's home is a temporary folder, so
that nobody's own store is touched, and it reports to nobody.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from fairlead import telemetry
from fairlead.adapters.store import holder
from fairlead.errors import ExportError, FairleadError, IntegrityError, NotFound, ServiceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fairlead.adapters.store import AnyStore
    from fairlead.records import ModelVersion
    from fairlead.schema import Batch, Output, Schema

_MINUTES = 5
"""A process started here takes seconds; one that takes longer than this waits for something that will not come."""

_BUILD = """
import sys
from bentoml import bentos

name, version, source = sys.argv[1:]
bentos.build_bentofile(source + "/bentofile.yaml", name=name, version=version, build_ctx=source)
"""


class BentomlBuilder:
    """Fulfils :class:`fairlead.records.BentoBuilder`."""

    def build(self, name: str, version: str, source: Path, out: Path) -> None:
        """Build ``name:version`` from *source*, by its ``bentofile.yaml``, into *out*, which must not exist.

        Raises:
            ExportError: BentoML refused; its last words are in the message.
        """
        with tempfile.TemporaryDirectory(prefix="fairlead-bentoml-") as home:
            command = [sys.executable, "-c", _BUILD, name, version, str(source)]
            _run(command, _build_environment(Path(home), source), f"build {name}")
            out.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(Path(home, "bentos", name, version), out)


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
        **telemetry.OFF,
        "BENTOML_HOME": str(home),
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


def _run(
    command: list[str], environment: Mapping[str, str], what: str, failure: type[FairleadError] = ExportError
) -> None:
    """Run *command*; if it does not succeed, raise *failure* with the error it ended with."""
    try:
        subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60 * _MINUTES, check=True
        )
    except subprocess.TimeoutExpired as cause:
        raise failure(f"could not {what} within {_MINUTES} minutes") from cause
    except subprocess.CalledProcessError as cause:
        cause.add_note(cause.stderr)  # the whole story, for the task's log
        raise failure(f"could not {what}: {last_error(cause.stderr)}") from cause


def last_error(output: str) -> str:
    r"""What a Python process said last: the error under its traceback, all lines of it.

    >>> last_error("Traceback:\n  File x\nKeyError: 1\n\nTraceback:\n  File y\nbentoml.Wrong: no service\nTry another.")
    'bentoml.Wrong: no service Try another.'
    """
    lines = [line for line in output.splitlines() if line.strip()]
    starts = [position for position, line in enumerate(lines) if re.match(r"[\w.]+: ", line)]
    return " ".join(lines[starts[-1] if starts else -1 :]) or "no reason given"


# -------------------------------------------------------------------------------------------------- serving


def serve_command(bundle: Path, *, port: int, host: str = "127.0.0.1") -> tuple[list[str], dict[str, str]]:
    """How to serve a bundle with BentoML on this machine.

    Args:
        bundle: The bundle's folder.
        port: TCP port of the lane. BentoML's own routes get a free port on the loopback interface.
        host: Address the lane listens on.

    Returns:
        The command, its first word an absolute path, and the variables to add to the environment.
    """
    command = [sys.executable, "-m", "bentoml", "serve", str(bundle / "bento")]
    command += ["--host", "127.0.0.1", "--port", str(free_port())]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    lane = {"FAIRLEAD_HOST": host, "FAIRLEAD_PORT": str(port)}
    return command, _quiet(cache / "fairlead" / "bentoml") | lane


def free_port() -> int:
    """A TCP port of the loopback interface on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(url: str, server: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    """Return once *server* is ready. Raises ServiceError with its last words if it is not within *seconds*."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        try:
            with urlopen(f"{url}/readyz", timeout=2) as answer:  # noqa: S310 - our own server
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-8:]
    raise ServiceError("the server did not get ready:\n" + "\n".join(last))


# ------------------------------------------------------------------------------------------- asking a model


class OpenedBundle:
    """The model inside a bundle, opened by the code that serves it. Fulfils :class:`fairlead.records.Champion`."""

    def __init__(
        self, version: ModelVersion, schema: Schema, predict: Callable[[Batch], NDArray[np.float64]]
    ) -> None:
        """Answer as the bundle of *version* does, by *predict*."""
        self.version = version
        self.output: Output = schema.output
        self._schema = schema
        self._predict = predict

    def answers(self, columns: Mapping[str, Sequence[Any]]) -> NDArray[np.float64]:
        """Answers to request rows given as columns (name to values), shape as in ``fairlead.schema.answers``.

        Raises:
            IntegrityError: A column that the model reads is not there, or the model cannot be run.
        """
        from fairlead.schema.encode import encode

        try:
            batch = encode(self._schema, columns)
        except KeyError as cause:
            raise IntegrityError(
                f"{self.version.name} version {self.version.version} reads a column {cause.args[0]!r}, "
                "which these rows do not have"
            ) from cause
        return self._predict(batch)


def open_bundle(version: ModelVersion, store: AnyStore) -> OpenedBundle:
    """Fetch a registered version's bundle and open its model; its files are checked by digest.

    Args:
        version: The version; where its bundle was kept is asked too.
        store: Asked first.

    Raises:
        NotFound: Neither store has it.
        IntegrityError: It is not what its digest says.
    """
    from fairlead.serve.loading import load, read_manifest, read_schema

    try:
        holding = holder(store, "bundles", version.digest, version.uri)
    except NotFound as cause:
        raise NotFound(
            f"{version.name} version {version.version}: {cause.message}", hint=cause.hint
        ) from cause
    scratch = tempfile.mkdtemp(prefix="fairlead-champion-")
    holding.get("bundles", version.digest, Path(scratch) / "bundle")
    source = Path(scratch) / "bundle" / "bento" / "src"
    folder = source / "bundle"
    if read_manifest(folder).digest != version.digest:
        raise IntegrityError(f"the store keeps another bundle under {version.digest[:16]}")
    predict = partial(_ask_in_own_process, source) if (folder / "code").is_dir() else load(folder).answers
    opened = OpenedBundle(version, read_schema(folder), predict)
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
            _run(command, {**os.environ, "PYTHONPATH": str(source)}, "ask the champion", IntegrityError)
            parts.append(np.load(answers, allow_pickle=False))
    found: NDArray[np.float64] = np.concatenate(parts)
    return found
