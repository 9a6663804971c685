"""How much a model leans on each field: permutation importance.

One field's values are shuffled over the rows, and the objective is measured again: what it loses is what the
field gave. All encoded columns of a field (hour and weekday of one time, say) are shuffled together, and a
text field as a whole. Fields that say the same share their importance, since either stands in for the other.

Source: Breiman, Random Forests (2001), section 10; here for any model, on held-out rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.model.evaluate import sample
from fairlead.schema import Batch, Schema
from fairlead.schema.fields import Output
from fairlead.spec.metrics import METRICS
from fairlead.stats.metrics import score

Floats = NDArray[np.float64]
Ask = Callable[[NDArray[Any]], Floats]
"""Encoded rows (:meth:`fairlead.schema.Batch.as_array`) to answers."""
Measure = Callable[[NDArray[np.intp], Floats], float]
"""Row numbers and the answers to those rows to the figure that counts."""

MOST_ROWS = 5_000
REPEATS = 3
MOST_FIELDS = 60
"""Wider schemas have their remaining fields left out: the picture shows twenty, and each costs three
passes."""


@dataclass(frozen=True, slots=True)
class FieldImportance:
    """One field: what the objective loses when its values are shuffled, in the objective's unit."""

    field: str
    loss: float
    """Mean over the repeats; above 0 the model is better with the field."""
    spread: float
    """Standard deviation over the repeats."""


def permutation_importance(
    schema: Schema,
    batch: Batch,
    ask: Ask,
    measure: Measure,
    *,
    higher_is_better: bool,
    most_rows: int = MOST_ROWS,
    repeats: int = REPEATS,
    seed: int = 0,
) -> tuple[FieldImportance, ...]:
    """Importance of each field (for forecast: of each feature), the largest first.

    Args:
        schema: Names the fields and their columns.
        batch: Encoded held-out rows.
        ask: The model.
        measure: The figure that counts, see :func:`measure_of`.
        higher_is_better: Its direction.
        most_rows: Rows used, drawn with *seed* if there are more.
        repeats: Shuffles of each field.
        seed: Of rows and shuffles.
    """
    rows = sample(len(batch), most_rows, seed)
    part = batch.take(rows)
    whole = measure(rows, ask(part.as_array()))
    sign = 1.0 if higher_is_better else -1.0
    generator = np.random.default_rng(seed)
    found = []
    for name, columns, text in _parts(schema):
        losses = [
            sign * (whole - measure(rows, ask(_shuffled(part, columns, text, generator).as_array())))
            for _ in range(repeats)
        ]
        found.append(FieldImportance(name, float(np.mean(losses)), float(np.std(losses))))
    return tuple(sorted(found, key=lambda one: (-one.loss, one.field)))


def measure_of(
    output: Output, actual: NDArray[Any], objective: str, scale: Floats | None = None
) -> tuple[Measure, bool]:
    """The objective as a function of rows and answers, and whether more of it is better.

    Args:
        output: Task, classes, threshold.
        actual: (all rows,) true values.
        objective: A metric that needs true values.
        scale: (all rows,) for MASE.
    """

    def measure(rows: NDArray[np.intp], answers: Floats) -> float:
        scales = None if scale is None else scale[rows]
        return score(output, actual[rows], answers, scale=scales).get(objective, 0.0)

    return measure, METRICS[objective].higher_is_better


def agreement(answers: Floats) -> tuple[Measure, bool]:
    """For clustering, which has no truth: the share of rows that stay in the cluster they were in.

    Args:
        answers: (all rows, clusters) of the unshuffled rows.
    """
    labels = answers.argmax(axis=1)
    return lambda rows, given: float((given.argmax(axis=1) == labels[rows]).mean()), True


def _parts(schema: Schema) -> Iterator[tuple[str, list[int], int | None]]:
    """Name, columns and text position of what is shuffled together."""
    if schema.series is not None:
        yield from ((name, [place], None) for place, name in enumerate(schema.columns[:MOST_FIELDS]))
        return
    column, text = 0, 0
    for field in schema.fields[:MOST_FIELDS]:
        width = len(field.columns)
        yield field.name, list(range(column, column + width)), text if field.kind == "text" else None
        column += width
        text += field.kind == "text"


def _shuffled(batch: Batch, columns: list[int], text: int | None, generator: np.random.Generator) -> Batch:
    order = generator.permutation(len(batch))
    numbers = batch.numbers.copy()
    numbers[:, columns] = batch.numbers[order][:, columns]
    texts = tuple(values[order] if place == text else values for place, values in enumerate(batch.texts))
    return Batch(numbers, texts)
