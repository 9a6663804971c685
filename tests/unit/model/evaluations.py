"""Small held-out sets, one a task, made up and seeded."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from fairlead.model.evaluate import HeldOut, evaluate
from fairlead.model.evaluation import Evaluation
from fairlead.model.forecast_errors import SeriesRows
from fairlead.model.threshold import choose
from fairlead.schema.fields import Output
from fairlead.stats.value import AnswerValue, CellValue, UnitValue

MONEY = CellValue(true_positive=85, false_positive=-4, false_negative=-110, true_negative=0, currency="EUR")
TWO = Output("classification", target="fraud", classes=("no", "yes"), positive="yes")


def two_classes(rows: int = 1_500, seed: int = 0) -> tuple[Output, HeldOut]:
    """A tenth of the rows is positive; ``country`` has one value that is hard and one that is rare."""
    generator = np.random.default_rng(seed)
    positive = generator.random(rows) < 0.1
    country = generator.choice(["DE", "FR", "IS"], size=rows, p=[0.68, 0.31, 0.01])
    signal = np.where(country == "FR", 0.0, 3.0) * positive + generator.normal(size=rows) - 2
    chance = 1 / (1 + np.exp(-signal))
    return TWO, HeldOut(
        answers=np.column_stack([1 - chance, chance]),
        baseline=np.tile([0.9, 0.1], (rows, 1)),
        actual=np.where(positive, "yes", "no").astype(object),
        slices={"country": country.astype(object), "amount": generator.exponential(size=rows)},
    )


@cache
def two_classes_evaluated() -> Evaluation:
    """Evaluated at the threshold that is worth most on other rows."""
    output, valid = two_classes(seed=1)
    choice = choose(output, MONEY, valid.actual, valid.answers)
    _, rows = two_classes()
    return evaluate(
        replace(output, threshold=choice.threshold),
        rows,
        objective="average_precision",
        value=MONEY,
        threshold=choice,
    )


@cache
def many_classes_evaluated(classes: int = 4) -> Evaluation:
    """Probabilities that are mostly right."""
    generator = np.random.default_rng(0)
    codes = generator.integers(classes, size=400)
    scores = generator.exponential(size=(400, classes))
    scores[np.arange(400), codes] += 2
    answers = scores / scores.sum(axis=1, keepdims=True)
    names = tuple(f"class {place}" for place in range(classes))
    rows = HeldOut(answers, np.full((400, classes), 1 / classes), np.array(names, dtype=object)[codes])
    output = Output("classification", classes=names)
    return evaluate(output, rows, objective="log_loss", value=AnswerValue(1, -1, "EUR"))


@cache
def regression_evaluated() -> Evaluation:
    """A line with noise."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=600)
    actual = 3 * x + generator.normal(size=600) + 100
    rows = HeldOut((3 * x + 100.5)[:, None], np.full((600, 1), 100.0), actual, slices={"x": x})
    return evaluate(Output("regression"), rows, objective="mae", value=UnitValue(-1, -4, "EUR"))


def forecast_rows(series: int = 3, horizon: int = 7, origins: int = 28) -> HeldOut:
    """Daily series; every origin forecasts every step; the error grows with the step."""
    generator = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(range(series), range(origins), range(1, horizon + 1), indexing="ij"), axis=-1)
    key, origin, step = grid.reshape(-1, 3).T
    start = np.datetime64("2024-01-01", "s")
    day = np.timedelta64(86_400, "s")
    level = 100 / (1 + key)
    actual = level + 5 * np.sin((origin + step) * 2 * np.pi / 7)
    predicted = actual + generator.normal(size=len(actual)) * step / 4
    rows = SeriesRows(
        keys=np.array([f"item {place}" for place in key], dtype=object),
        origin=start + origin * day,
        at=start + (origin + step) * day,
        step=step.astype(np.int64),
        scale=np.where(key == 2, 0.0, 5.0),
    )
    return HeldOut(predicted[:, None], level[:, None], actual, series=rows)


@cache
def forecast_evaluated() -> Evaluation:
    """Three series, the last of which never changed in training."""
    return evaluate(Output("forecast"), forecast_rows(), objective="mase")


@cache
def clustering_evaluated() -> Evaluation:
    """Three clear clusters; the baseline cuts across them."""
    generator = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    member = generator.integers(3, size=300)
    points = centres[member] + generator.normal(size=(300, 2))
    closeness = -np.linalg.norm(points[:, None] - centres, axis=2)
    fields: dict[str, Any] = {
        "spend": points[:, 0],
        "plan": np.array(["basic", "pro", None], dtype=object)[member],
    }
    rows = HeldOut(closeness, generator.normal(size=(300, 3)), points=points, fields=fields)
    return evaluate(Output("clustering", clusters=3), rows, objective="silhouette")


EVALUATED = {
    "two classes": two_classes_evaluated,
    "many classes": many_classes_evaluated,
    "regression": regression_evaluated,
    "forecast": forecast_evaluated,
    "clustering": clustering_evaluated,
}
