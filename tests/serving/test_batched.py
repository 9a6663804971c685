"""``/predict`` of a model whose requests are scored together: nobody can tell from the answers."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
import skops.io
from sklearn.ensemble import GradientBoostingClassifier

from fairlead.schema import Batch, Field, Output, Schema
from fairlead.serve.app import App
from fairlead.serve.batched import BatchedPredictor, predictor_of
from fairlead.serve.http import Limits
from fairlead.serve.loading import LoadedModel, load
from fairlead.serve.metrics.registry import Metrics
from fairlead.serve.predict import Predictor
from fairlead.serve.routes import routes_of

LIMITS = Limits()
SCHEMA = Schema(
    name="loans",
    fields=(Field("amount", "number", missing="allow"), Field("age", "number")),
    output=Output("classification", target="paid", classes=("no", "yes"), positive="yes"),
)


@pytest.fixture(scope="module")
def folder(write: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that scikit-learn serves, with rules as ``batching: auto`` makes them. A missing amount breaks the model."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(300, 2)).astype(np.float32)
    model = GradientBoostingClassifier(n_estimators=20, random_state=0)
    model.fit(numbers, np.where(numbers.sum(axis=1) > 0, "yes", "no"))
    made = skops.io.dumps(model)
    folder = write(
        tmp_path_factory.mktemp("batched") / "bundle",
        SCHEMA,
        made,
        "skops",
        trusted=skops.io.get_untrusted_types(data=made),
    )
    rules = json.dumps({"batching": {"rows": 16, "wait_ms": 0.0}}).encode()
    (folder / "serving.json").write_bytes(rules)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"]["serving.json"] = hashlib.sha256(rules).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def model(folder: Path) -> LoadedModel:
    return load(folder)


def counted(model: LoadedModel) -> list[int]:
    """The rows of each call, from now on."""
    calls: list[int] = []
    answers = model.answers

    def count(batch: Batch) -> Any:
        calls.append(len(batch))
        return answers(batch)

    model.answers = count
    return calls


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {"amount": number / 25 - 1, "age": 0.1} | changes


def ask(model: LoadedModel, *requests: list[dict[str, Any]]) -> list[httpx.Response]:
    """All requests at the same time, to the app without a socket."""
    app = App(Metrics())
    app.metrics.attach(model)
    app.attach(model.name, routes_of(model, LIMITS, app))

    async def all_at_once() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            return await asyncio.gather(*(send(client, rows) for rows in requests))

    return asyncio.run(all_at_once())


async def send(client: httpx.AsyncClient, rows: list[dict[str, Any]]) -> httpx.Response:
    return await client.post("/predict", content=orjson.dumps({"rows": rows}))


def alone(folder: Path, rows: list[dict[str, Any]]) -> Any:
    """What a server that does not batch would predict."""
    return Predictor(load(folder), LIMITS).answer(rows)["predictions"]


def probabilities(predictions: Any) -> list[float]:
    return [prediction["probability"] for prediction in predictions]


def test_fifty_at_once_are_answered_as_each_would_be_alone_in_fewer_calls(
    folder: Path, model: LoadedModel
) -> None:
    calls = counted(model)
    said = ask(model, *([row(number)] for number in range(50)))
    assert {answer.status_code for answer in said} == {200}
    got = [answer.json()["predictions"][0] for answer in said]
    expected = alone(folder, [row(number) for number in range(50)])
    assert probabilities(got) == pytest.approx(probabilities(expected), rel=1e-12)
    assert [one["label"] for one in got] == [one["label"] for one in expected]
    assert sum(calls) == 50
    assert len(calls) <= 10
    assert max(calls) <= 16


def test_fifty_at_once_over_the_network(serve: Callable[..., Any], folder: Path) -> None:
    async def all_at_once(url: str) -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            return await asyncio.gather(*(send(client, [row(number), row(0)]) for number in range(50)))

    said = asyncio.run(all_at_once(serve(folder).url))
    assert {answer.status_code for answer in said} == {200}
    for number, answer in enumerate(said):
        expected = probabilities(alone(folder, [row(number), row(0)])) if number % 10 == 0 else None
        if expected is not None:
            assert probabilities(answer.json()["predictions"]) == pytest.approx(expected, rel=1e-12)


def test_a_row_that_breaks_the_model_fails_its_own_request_only(folder: Path, model: LoadedModel) -> None:
    said = ask(model, *([row(number, **({"amount": None} if number == 7 else {}))] for number in range(20)))
    assert [number for number, answer in enumerate(said) if answer.status_code != 200] == [7]
    assert said[7].status_code == 500
    assert said[7].json()["error"] == "internal error"
    assert probabilities(said[8].json()["predictions"]) == pytest.approx(
        probabilities(alone(folder, [row(8)]))
    )


def test_a_row_without_a_finite_answer_is_refused_by_its_place_in_its_own_request(model: LoadedModel) -> None:
    model.answers = lambda batch: np.where(batch.numbers[:, :1] > 90, np.nan, [[0.5, 0.5]])
    said = ask(model, [row(1)], [row(2), row(3, amount=99.0)], [row(4)])
    assert [answer.status_code for answer in said] == [200, 422, 200]
    assert [error["row"] for error in said[1].json()["errors"]] == [1]


def test_rows_that_break_the_schema_never_reach_the_batch(model: LoadedModel) -> None:
    calls = counted(model)
    said = ask(model, [row(1)], [row(2, age="old")], [])
    assert [answer.status_code for answer in said] == [200, 422, 422]
    assert sum(calls) == 1


@pytest.mark.parametrize("count", [16, 200, 3000])
def test_a_request_that_fills_a_call_is_a_call_of_its_own(
    folder: Path, model: LoadedModel, count: int
) -> None:
    calls = counted(model)
    rows = [row(number % 50) for number in range(count)]
    large, small = ask(model, rows, [row(1)])
    assert probabilities(large.json()["predictions"]) == pytest.approx(probabilities(alone(folder, rows)))
    assert small.status_code == 200
    assert sorted(calls) == [1, count]


def test_without_the_rule_requests_are_scored_alone(model: LoadedModel) -> None:
    assert isinstance(predictor_of(model, LIMITS), BatchedPredictor)
    model.rules = replace(model.rules, batching=None)
    assert isinstance(predictor_of(model, LIMITS), Predictor)
