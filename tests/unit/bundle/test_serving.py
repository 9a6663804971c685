"""What the bundle stage writes for the runtime, and what the runtime reads."""

from __future__ import annotations

import pytest

from fairlead.bundle.serving import serving_record
from fairlead.serve.rules import Batching, LogRules, Rules, rules_of
from fairlead.spec.serve import Objective, PredictionLog, Serve


def test_a_project_that_says_nothing_has_the_runtimes_defaults() -> None:
    assert rules_of(serving_record(Serve())) == Rules()


@pytest.mark.parametrize(
    ("serve", "batching", "expected"),
    [
        pytest.param(Serve(objective=Objective(p99_ms=20)), None, Rules(objective_seconds=0.02), id="objective"),
        pytest.param(Serve(explain=False), None, Rules(explain=False), id="explain"),
        pytest.param(
            Serve(log=PredictionLog(inputs={"amount": "keep", "email": "hash"}, sample=0.5, subject="email")),
            None,
            Rules(log=LogRules({"amount": "keep", "email": "hash"}, 0.5, "email")),
            id="log",
        ),
        pytest.param(
            Serve(providers=("CUDAExecutionProvider", "CPUExecutionProvider")),
            None,
            Rules(providers=("CUDAExecutionProvider", "CPUExecutionProvider")),
            id="providers",
        ),
        pytest.param(Serve(), {"rows": 64, "wait_ms": 2.0}, Rules(batching=Batching(64, 2.0)), id="batching"),
    ],
)  # fmt: skip
def test_what_a_project_says_reaches_the_runtime(
    serve: Serve, batching: dict[str, float] | None, expected: Rules
) -> None:
    assert rules_of(serving_record(serve, batching)) == expected
