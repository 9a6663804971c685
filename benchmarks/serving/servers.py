"""The servers: how each is started, what it is asked, and how its answer is read back."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from benchmarks.serving import peers
from benchmarks.serving.models import Model
from benchmarks.serving.process import tree
from numpy.typing import NDArray

from fairlead import telemetry
from fairlead.adapters.bentos import serve_command
from fairlead.serve.v2.proto import open_inference_pb2 as protocol

SERVER_CORE = "0"
SERVED = Path(__file__).parent / "served"
REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 120.0


@dataclass(frozen=True)
class Place:
    """What a server is to serve, and where."""

    model: Model
    port: int
    scratch: Path
    """A folder of its own."""


Command = tuple[list[str], dict[str, str]]
"""A command, and what it needs in its environment."""
Start = Callable[[Place], Command]


@dataclass(frozen=True)
class Server:
    """One way to serve a model."""

    name: str
    says: str
    start: Start
    body: str = "named"
    path: str = "/predict"
    ready: str = "/readyz"
    grpc: bool = False
    """Whether the port speaks gRPC."""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Running:
    """A started server."""

    server: Server
    process: subprocess.Popen[bytes]
    port: int
    seconds_to_ready: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.server.path}"


# ------------------------------------------------------------------------------------------------- fairlead


def _bento(place: Place) -> Command:
    return serve_command(place.model.folder, port=place.port)


def _alone(place: Place) -> Command:
    return [sys.executable, "-m", "fairlead.serve", str(place.model.bundle), "--port", str(place.port)], {}


def _with(start: Start, **variables: str) -> Start:
    """The same, with settings. ``{scratch}`` is a folder of its own, ``{free}`` a free port."""

    def started(place: Place) -> Command:
        command, environment = start(place)
        said = {
            name: text.format(scratch=place.scratch, free=_free_port()) for name, text in variables.items()
        }
        return command, environment | said

    return started


def _granian(place: Place) -> Command:
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--workers", "1", "--loop", "uvloop"]
    command += [
        "--http",
        "1",
        "--no-ws",
        "--log-level",
        "warning",
        "--host",
        "127.0.0.1",
        "--port",
        str(place.port),
    ]
    path = os.pathsep.join([str(peers.packages_of("granian")), str(SERVED)])
    return [*command, "application:app"], {"PYTHONPATH": path, "BENCHMARK_BUNDLE": str(place.model.bundle)}


def _fairlead_grpc(place: Place) -> Command:
    command, environment = _alone(replace(place, port=0))
    return command, environment | {"FAIRLEAD_GRPC_PORT": str(place.port)}


# ---------------------------------------------------------------------------------------------------- others


def _limit(place: Place) -> Command:
    return [
        sys.executable,
        str(SERVED / "limit.py"),
        str(place.model.folder),
        place.model.version,
        str(place.port),
    ], {}


def _stock(place: Place) -> Command:
    command = [sys.executable, "-m", "bentoml", "serve", "stock:Stock", "--working-dir", str(SERVED)]
    command += ["--host", "127.0.0.1", "--port", str(place.port)]
    return command, {
        "BENCHMARK_MODEL": str(place.model.folder),
        "BENTOML_HOME": str(place.scratch / "bentoml"),
    }


def _mlserver(place: Place) -> Command:
    """``{"parallel_workers": 0}`` keeps inference in the server's process, which is its fastest setting here."""
    free = [_free_port(), _free_port()]
    folder = place.scratch / "mlserver"
    folder.mkdir()
    (folder / "model-settings.json").write_text(json.dumps({
        "name": "benchmark", "implementation": "mlserver_onnx.OnnxModel", "parameters": {"uri": str(place.model.onnx)},
    }))  # fmt: skip
    (folder / "settings.json").write_text(json.dumps({
        "host": "127.0.0.1", "http_port": place.port, "grpc_port": free[0], "metrics_port": free[1],
        "parallel_workers": 0, "debug": False, "use_structured_logging": False,
    }))  # fmt: skip
    python = peers.python_of("mlserver")
    return [str(python.with_name("mlserver")), "start", str(folder)], {"PYTHONPATH": str(SERVED)}


def _mlserver_grpc(place: Place) -> Command:
    command, environment = _mlserver(replace(place, port=_free_port()))
    file = place.scratch / "mlserver" / "settings.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"grpc_port": place.port}))
    return command, environment


def _kserve(place: Place) -> Command:
    command = [str(peers.python_of("kserve")), str(SERVED / "kserve_onnx.py"), "--http_port", str(place.port)]
    command += ["--enable_grpc", "false", "--workers", "1", "--enable_latency_logging", "false"]
    return command, {"BENCHMARK_MODEL": str(place.model.folder)}


def _mlflow(place: Place) -> Command:
    saved = place.model.folder / "mlflow"
    if not saved.exists():
        command = [sys.executable, str(SERVED / "mlflow_onnx.py"), str(place.model.folder), str(saved)]
        subprocess.run(command, check=True, capture_output=True, cwd=place.scratch)
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(saved)]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(place.port), "--workers", "1"]
    return command, {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}


def _empty_grpc(place: Place) -> Command:
    return [sys.executable, str(SERVED / "empty_grpc.py"), str(place.port)], {}


ALONE = Server("fairlead alone", "`python -m fairlead.serve`, no BentoML", _alone)


def with_settings(server: Server, **variables: str) -> Server:
    """The same server in another environment."""
    return replace(server, start=_with(server.start, **variables))


LOG = {"FAIRLEAD_LOG_FOLDER": "{scratch}/log"}

HTTP = (
    Server("limit", "bare uvicorn and ONNX Runtime, nothing checked", _limit),
    Server("fairlead with log", "its Bento: validation, metrics, prediction log with all inputs", _with(_bento, **LOG)),
    Server("fairlead", "its Bento: validation, metrics", _bento),
    ALONE,
    Server("fairlead on granian", "the same application, granian 2.8.7 in place of uvicorn", _granian),
    Server("stock BentoML", "`@bentoml.api`, asynchronous, arrays", _stock, "matrix"),
    Server("MLServer", "1.7.1, custom runtime, no parallel workers", _mlserver, "tensor",
           "/v2/models/benchmark/infer", "/v2/models/benchmark/ready"),
    Server("KServe SDK", "0.21.0, custom model", _kserve, "tensor",
           "/v2/models/benchmark/infer", "/v2/models/benchmark/ready"),
    Server("MLflow", "3.17.2, scoring server, Python function", _mlflow, "split", "/invocations", "/ping"),
)  # fmt: skip

FEATURES = (
    ALONE,
    with_settings(replace(ALONE, name="log", says="prediction log with all inputs"), **LOG),
    with_settings(replace(ALONE, name="traces 1 %", says="the collector is not there"),
                  OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", FAIRLEAD_TRACE_SAMPLE="0.01"),
    with_settings(replace(ALONE, name="all traces", says="likewise, 2048 spans at a time"),
                  OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", FAIRLEAD_TRACE_SAMPLE="1"),
    with_settings(replace(ALONE, name="shadow 10 %", says="the other server is not there"),
                  FAIRLEAD_SHADOW_URL="http://127.0.0.1:9", FAIRLEAD_SHADOW_SAMPLE="0.1"),
    with_settings(replace(ALONE, name="gRPC", says="enabled, not called"), FAIRLEAD_GRPC_PORT="{free}"),
    with_settings(replace(ALONE, name="GraphQL", says="enabled, not called"), FAIRLEAD_APIS="graphql"),
)  # fmt: skip
"""What is off by default, one at a time: compare processor time and memory with the first."""

GRPC = (
    Server("empty handler", "grpc.aio, no model", _empty_grpc, "grpc-fields", grpc=True),
    Server("fairlead gRPC", "validation, metrics", _fairlead_grpc, "grpc-fields", grpc=True),
    Server("MLServer gRPC", "1.7.1, custom runtime", _mlserver_grpc, "grpc-tensor", grpc=True),
)


# --------------------------------------------------------------------------------------------------- running


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(server: Server, model: Model, core: str = SERVER_CORE) -> Iterator[Running]:
    """The server on a core, ready; all of its processes are ended afterwards."""
    scratch = Path(tempfile.mkdtemp(prefix="fairlead-bench-"))
    port = _free_port()
    command, more = server.start(Place(model, port, scratch))
    environment = {**os.environ, **telemetry.OFF, "OMP_NUM_THREADS": "1"} | more
    with (scratch / "output").open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            ["taskset", "-c", core, *command],
            env=environment,
            cwd=scratch,
            stdout=output,
            stderr=output,
        )
    try:
        _wait(server, process, port, scratch / "output")
        yield Running(server, process, port, time.monotonic() - started)
    finally:
        _end(process)
        shutil.rmtree(scratch, ignore_errors=True)


def _wait(server: Server, process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if _is_ready(server, port):
            return
        time.sleep(0.01)
    raise RuntimeError(f"{server.name} did not start:\n{output.read_text(errors='replace')[-3000:]}")


def _is_ready(server: Server, port: int) -> bool:
    try:
        if server.grpc:
            answer = call(port, "ServerReady", b"")
            return protocol.ServerReadyResponse.FromString(answer).ready
        url = f"http://127.0.0.1:{port}{server.ready}"
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError, grpc.RpcError):
        return False


def call(port: int, method: str, request: bytes) -> bytes:
    """One call over gRPC, as bytes. Raises grpc.RpcError."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer: bytes = channel.unary_unary(f"/inference.GRPCInferenceService/{method}")(request, timeout=5)
    return answer


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the tree: some servers leave workers behind."""
    members = list(tree(process.pid))
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    for member in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
    process.wait()


def check(run: Running, model: Model, rows: int) -> None:
    """Ask once: a wrong answer is not worth measuring.

    Probabilities must be the model's own, and servers that take the same body must give the same bytes.

    Raises:
        AssertionError: They do not.
    """
    request = urllib.request.Request(
        run.url, model.body(run.server.body, rows).read_bytes(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        said = answer.read()
    found = _positive(run.server.body, json.loads(said))
    np.testing.assert_allclose(found, model.expected[:rows, 1], atol=1e-4)
    if run.server.body == "named":
        first = model.folder / f"answer-{rows}"
        if not first.exists():
            first.write_bytes(said)
        elif first.read_bytes() != said:
            raise AssertionError("the answer has not the same bytes as that of the first server")


def check_grpc(run: Running, model: Model) -> None:
    """The same over gRPC, for one row. Raises AssertionError."""
    answer = call(run.port, "ModelInfer", model.body(run.server.body, 1).read_bytes())
    response = protocol.ModelInferResponse.FromString(answer)
    for position, output in enumerate(response.outputs):
        if output.datatype in ("FP32", "FP64"):
            values = [*output.contents.fp32_contents, *output.contents.fp64_contents]
            if response.raw_output_contents:
                kind = "<f4" if output.datatype == "FP32" else "<f8"
                values = np.frombuffer(response.raw_output_contents[position], kind).tolist()
            np.testing.assert_allclose(values, model.expected[0], atol=1e-4)


def _positive(body: str, answer: Any) -> NDArray[np.float64]:
    """The probability of the second class, row by row."""
    if body == "named":
        return np.array([row["probabilities"]["yes"] for row in answer["predictions"]])
    if body == "tensor":
        return np.array(answer["outputs"][0]["data"], float).reshape(-1, 2)[:, 1]
    return np.array(answer["predictions"] if body == "split" else answer, float)[:, 1]
