"""Execution providers that were asked for and those that are there; and threads for heavy models only."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from fairlead.serve.backends import onnx as backend
from fairlead.serve.backends import open_backend
from fairlead.serve.backends.onnx import usable_providers
from fairlead.serve.loading import LoadedModel, load, read_schema
from fairlead.serve.rules import Rules

GPU_FIRST = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")


def with_rules(folder: Path, rules: Rules, to: Path) -> Path:
    """A copy of a bundle's folder with other rules."""
    shutil.copytree(folder, to)
    content = json.dumps(dataclasses.asdict(rules)).encode()
    (to / "serving.json").write_bytes(content)
    manifest = json.loads((to / "manifest.json").read_bytes())
    manifest["files"]["serving.json"] = hashlib.sha256(content).hexdigest()
    (to / "manifest.json").write_text(json.dumps(manifest))
    return to


@pytest.mark.skipif(
    "TensorrtExecutionProvider" in onnxruntime.get_available_providers(), reason="this machine has TensorRT"
)
def test_a_model_that_wants_tensorrt_runs_on_the_cpu_and_says_so(fraud_folder: Path, tmp_path: Path) -> None:
    model = load(with_rules(fraud_folder, Rules(providers=GPU_FIRST), tmp_path / "gpu"))
    assert model.providers_asked == GPU_FIRST
    assert model.providers_used == ("CPUExecutionProvider",)


def test_answers_do_not_depend_on_providers_that_are_not_there(fraud_folder: Path, tmp_path: Path) -> None:
    models = [
        load(fraud_folder),
        load(with_rules(fraud_folder, Rules(providers=GPU_FIRST), tmp_path / "gpu")),
    ]
    rows = [example_batch(model) for model in models]
    np.testing.assert_array_equal(models[0].answers(rows[0]), models[1].answers(rows[1]))


def example_batch(model: LoadedModel) -> Any:
    from fairlead.serve.loading import example_columns

    return model.encode(example_columns(model.schema))


@pytest.mark.parametrize(
    ("asked", "available", "used"),
    [
        (GPU_FIRST, GPU_FIRST, GPU_FIRST),
        (GPU_FIRST, GPU_FIRST[1:], GPU_FIRST[1:]),
        (GPU_FIRST[:1], ("CPUExecutionProvider",), ("CPUExecutionProvider",)),
        ((), ("CPUExecutionProvider",), ("CPUExecutionProvider",)),
        (("CUDAExecutionProvider",) * 2, GPU_FIRST, GPU_FIRST[1:]),
    ],
    ids=["all there", "one missing", "none there", "nothing asked", "asked twice, and not for the CPU"],
)
def test_the_order_asked_is_kept_and_the_cpu_is_always_last_resort(
    asked: tuple[str, ...], available: tuple[str, ...], used: tuple[str, ...]
) -> None:
    assert usable_providers(asked, available) == used


def test_a_light_model_keeps_one_thread(fraud_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert threads_opened(fraud_folder, monkeypatch, heavy_seconds=1.0, row_seconds=[]) == [1]


def test_a_heavy_model_gets_the_threads_that_fit_if_they_help(
    fraud_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert threads_opened(fraud_folder, monkeypatch, heavy_seconds=0.0, row_seconds=[0.4, 0.2]) == [1, 3]


def threads_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch, heavy_seconds: float, row_seconds: list[float]
) -> list[int]:
    """Threads of the sessions that are opened with 3.5 CPUs, where a row takes so long in one after the other."""
    opened: list[int] = []
    options = backend._options

    def counted(runtime: Any, threads: int) -> Any:
        opened.append(threads)
        return options(runtime, threads)

    monkeypatch.setattr(backend, "_options", counted)
    monkeypatch.setattr(backend, "HEAVY_SECONDS", heavy_seconds)
    if row_seconds:
        monkeypatch.setattr(backend, "_row_seconds", lambda session: row_seconds.pop(0))
    open_backend("onnx", folder / "model.onnx", read_schema(folder), cpus=3.5)
    return opened
