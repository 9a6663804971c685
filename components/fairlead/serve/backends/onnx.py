"""ONNX Runtime: one session. Some 7 µs a row for a forest of 100 trees.

Execution providers are taken in the order in which they are asked for, as far as this build of the runtime has them; a
provider that is there and cannot be started (a GPU without a driver) is passed over by the runtime itself, so what is in
use is read from the session. The CPU takes what no other provider does.

A session has one thread. A row takes microseconds, and handing work to another thread costs ten or more: only where a
single row takes longer than :data:`HEAVY_SECONDS`, and the process may use more than one CPU, are as many threads tried as
fit, and kept if the row is then faster by a quarter.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead import telemetry
from fairlead.errors import IntegrityError
from fairlead.schema import Batch, Schema
from fairlead.serve.backends import Predict
from fairlead.serve.backends.cpus import whole_threads

OUTPUT = "answers"
CPU = "CPUExecutionProvider"
HEAVY_SECONDS = 0.001
"""A row that takes longer may be worth several threads."""


def open_model(
    file: Path,
    schema: Schema,
    _trusted: Sequence[str],
    _code: Path | None,
    providers: Sequence[str] = (CPU,),
    cpus: float = 1.0,
) -> Predict:
    """A graph from ``numbers`` (float, [None, p]) and ``text_i`` (string, [None, 1]) to ``answers``.

    Args:
        file: The graph.
        schema: What goes in and what comes out.
        providers: Execution providers, best first. The function that is returned has those in use as ``providers``.
        cpus: What this process may use.
    """
    telemetry.switch_off()
    import onnxruntime  # noqa: PLC0415

    usable = usable_providers(providers, onnxruntime.get_available_providers())

    def opened(threads: int) -> Any:
        return onnxruntime.InferenceSession(file, _options(onnxruntime, threads), providers=list(usable))

    session = opened(1)
    _check(file, session, schema)
    if whole_threads(cpus) > 1:
        session = _faster(session, opened, whole_threads(cpus))
    predict = _predict(session, schema)
    predict.providers = tuple(session.get_providers())  # type: ignore[attr-defined]
    return predict


def usable_providers(asked: Sequence[str], available: Sequence[str]) -> tuple[str, ...]:
    """Those that were asked for and are there, in the order asked; the CPU last, because it has every operator.

    >>> usable_providers(["TensorrtExecutionProvider", "CUDAExecutionProvider"], ["CUDAExecutionProvider", CPU])
    ('CUDAExecutionProvider', 'CPUExecutionProvider')
    >>> usable_providers([CPU, "CUDAExecutionProvider"], [CPU])
    ('CPUExecutionProvider',)
    """
    found = [name for name in dict.fromkeys(asked) if name in available]
    return tuple(found if CPU in found else [*found, CPU])


def _check(file: Path, session: Any, schema: Schema) -> None:
    expected = _input_names(schema)
    found = sorted(node.name for node in session.get_inputs())
    if found != sorted(expected) or OUTPUT not in [node.name for node in session.get_outputs()]:
        raise IntegrityError(
            f"{file}: the graph has inputs {found}, the schema needs {sorted(expected)} → {OUTPUT}"
        )


def _predict(session: Any, schema: Schema) -> Predict:
    expected = _input_names(schema)
    run, outputs, has_numbers = session.run, [OUTPUT], "numbers" in expected
    texts = [name for name in expected if name != "numbers"]

    def predict(batch: Batch) -> NDArray[np.float64]:
        feeds: dict[str, Any] = {"numbers": batch.numbers} if has_numbers else {}
        for name, text in zip(texts, batch.texts, strict=True):
            feeds[name] = text[:, None]
        answers: NDArray[np.float64] = run(outputs, feeds)[0].astype(np.float64)
        return answers

    return predict


def _input_names(schema: Schema) -> list[str]:
    return ["numbers"] * bool(schema.columns) + [f"text_{position}" for position in range(len(schema.texts))]


def _options(onnxruntime: Any, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Threads that wait for work by spinning take CPU time from whoever serves the next request.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors
    return options


# ------------------------------------------------------------------------------------------------ heavy models


def _faster(session: Any, opened: Any, threads: int) -> Any:
    """The session, or one with more threads if the model is heavy and they help."""
    alone = _row_seconds(session)
    if alone < HEAVY_SECONDS:
        return session
    several = opened(threads)
    return several if _row_seconds(several) < 0.75 * alone else session


def _row_seconds(session: Any) -> float:
    """The fastest of three runs of one made-up row, after one that sets things up."""
    feeds = {node.name: _made_up(node) for node in session.get_inputs()}
    session.run(None, feeds)
    taken = []
    for _ in range(3):
        before = perf_counter()
        session.run(None, feeds)
        taken.append(perf_counter() - before)
    return min(taken)


def _made_up(node: Any) -> NDArray[Any]:
    width = node.shape[1] if isinstance(node.shape[1], int) else 1
    if node.type == "tensor(string)":
        return np.full((1, width), "a text", dtype=object)
    return np.ones((1, width), dtype=np.float32)
