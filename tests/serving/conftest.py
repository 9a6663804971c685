"""Real models behind a real server: a bundle's folder made with skl2onnx, uvicorn on a free port."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from fairlead.schema import Field, Output, Schema

FRAUD = Schema(
    name="fraud",
    fields=(
        Field("amount", "number", unit="EUR", minimum=0.0, maximum=10_000.0),
        Field("count", "integer", minimum=0.0, missing="allow"),
        Field("abroad", "boolean"),
        Field("country", "category", values=("AT", "DE", "FR"), unknown="other"),
        Field("channel", "category", values=("app", "shop")),
        Field("at", "datetime", parts=("hour", "weekday")),
    ),
    output=Output("classification", target="is_fraud", classes=("no", "yes"), positive="yes", threshold=0.3),
)
ROW = {
    "amount": 12.5,
    "count": 3,
    "abroad": False,
    "country": "DE",
    "channel": "app",
    "at": "2024-05-01T10:30:00",
}


@dataclass(frozen=True)
class Served:
    """A running server."""

    url: str
    process: subprocess.Popen[str]


def write_bundle(folder: Path, schema: Schema, model: bytes, format: str, **manifest: Any) -> Path:  # noqa: A002
    """A folder as the bundle stage writes it."""
    folder.mkdir(parents=True)
    (folder / "reference").mkdir()
    files = {
        f"model.{format}": model,
        "schema.json": schema.to_json().encode(),
        "reference/profile.json": b"{}\n",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    whole = hashlib.sha256("".join(digests.values()).encode()).hexdigest()
    stated = {
        "format_version": 1, "name": schema.name, "digest": whole,
        "format": format, "model": f"model.{format}",
        "trusted": [], "files": digests,
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(stated | manifest), encoding="utf-8")
    return folder


def onnx_of(estimator: Any, schema: Schema) -> bytes:
    """A fitted classifier or regressor over numbers as a graph with the one output ``answers``."""
    import onnx
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    inputs = [("numbers", FloatTensorType([None, len(schema.columns)]))]
    options = {"zipmap": False} if schema.output.task == "classification" else None
    graph = to_onnx(estimator, initial_types=inputs, options=options)
    source = graph.graph.output[-1].name
    del graph.graph.output[:]
    graph.graph.node.append(onnx.helper.make_node("Identity", [source], ["answers"]))
    graph.graph.output.append(
        onnx.helper.make_tensor_value_info("answers", onnx.TensorProto.FLOAT, [None, None])
    )
    return bytes(graph.SerializeToString())


def fitted_fraud_model() -> Any:
    """A forest fitted on encoded rows."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(400, len(FRAUD.columns))).astype(np.float32) * 5
    target = np.where(numbers[:, 0] + rng.normal(size=400) > 2, "yes", "no")
    return make_pipeline(SimpleImputer(), RandomForestClassifier(10, max_depth=4, random_state=0)).fit(
        numbers, target
    )


@pytest.fixture(scope="session")
def fraud_model() -> Any:
    return fitted_fraud_model()


@pytest.fixture(scope="session")
def fraud_onnx(fraud_model: Any) -> bytes:
    return onnx_of(fraud_model, FRAUD)


@pytest.fixture(scope="session")
def fraud_folder(tmp_path_factory: pytest.TempPathFactory, fraud_onnx: bytes) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundles") / "fraud", FRAUD, fraud_onnx, "onnx")


@pytest.fixture(scope="session")
def write() -> Callable[..., Path]:
    """:func:`write_bundle`, for tests that need folders of their own."""
    return write_bundle


@pytest.fixture
def bundle_of(tmp_path: Path) -> Callable[..., Path]:
    """Write a bundle's folder that the test may spoil."""
    return lambda *arguments, **manifest: write_bundle(tmp_path / "bundle", *arguments, **manifest)


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[..., Served]]:
    """Start ``python -m fairlead.serve`` on a free port; stopped at the end of the session."""
    started: list[subprocess.Popen[str]] = []

    def start(folder: Path, *options: str) -> Served:
        process = subprocess.Popen(
            [sys.executable, "-m", "fairlead.serve", str(folder), "--port", "0", *options],
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return Served(_address(process), process)

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    """What the server says it listens on, once it is ready."""
    said = []
    for line in process.stderr or ():
        said.append(line)
        if found := re.search(r"serving .* on (http://\S+)", line):
            return found.group(1)
    pytest.fail(f"the server did not start:\n{''.join(said)}")


@pytest.fixture(scope="session")
def fraud(serve: Callable[..., Served], fraud_folder: Path) -> Iterator[httpx.Client]:
    """A client of a server with the fraud model."""
    with httpx.Client(base_url=serve(fraud_folder).url, timeout=10) as client:
        yield client


@dataclass(frozen=True)
class Both:
    """A server that speaks HTTP and gRPC; addresses as ``HOST:PORT``."""

    http: str
    grpc: str
    process: subprocess.Popen[str]


@pytest.fixture(scope="session")
def speak() -> Iterator[Callable[..., Both]]:
    """Start ``v2_process.py`` with a bundle's folder or with none."""
    started: list[subprocess.Popen[str]] = []

    def start(*folder: Path) -> Both:
        program = Path(__file__).with_name("v2_process.py")
        process = subprocess.Popen(
            [sys.executable, str(program), *map(str, folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        addresses = process.stdout.readline().split()
        assert addresses, "the server did not start"
        return Both(*addresses, process)

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def both(speak: Callable[..., Both], fraud_folder: Path) -> Both:
    """A server with the fraud model."""
    return speak(fraud_folder)
