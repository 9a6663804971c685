"""Before a run: can every candidate be built, fitted on arrays and saved? Tried on a few made-up rows, in seconds."""

from __future__ import annotations

import math
import warnings
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.model.candidates import Contender, contenders
from fairlead.model.persist import save
from fairlead.model.preprocess import plain_numbers
from fairlead.model.space import draw
from fairlead.model.usercheck import check_reads_arrays
from fairlead.records import Workspace
from fairlead.schema import Batch, Field, Output, Schema, SeriesShape
from fairlead.schema.encode import encode
from fairlead.spec import Column
from fairlead.spec.consistency import not_features
from fairlead.spec.served import field_of

ROWS = 80
_WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa")


def preflight(workspace: Workspace, schema: Schema | None = None) -> None:
    """Build, fit, save and load every candidate once, with parameters drawn from its space.

    Args:
        workspace: The project.
        schema: What rows look like; without it one is drafted from the contract.

    Raises:
        ProjectError: An unknown candidate, parameter or space.
        UserCodeError: The project's own code cannot be imported, raises, needs pandas, or makes something skops cannot save.
    """
    schema = schema or draft_schema(workspace)
    rows = made_up_rows(schema, ROWS)
    target = made_up_target(schema.output, ROWS)
    for contender in contenders(workspace.project, workspace.root, schema):
        _try(contender, workspace, rows.as_array(), target)


def _try(
    contender: Contender, workspace: Workspace, array: NDArray[Any], target: NDArray[Any] | None
) -> None:
    parameters = draw(contender.space, np.random.default_rng(contender.seed))
    names = [*contender.schema.columns, *contender.schema.texts]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # made-up rows may not converge
        if contender.custom_features is not None and workspace.project.model.features:
            check_reads_arrays(
                workspace.project.model.features, lambda: contender.custom_features(contender.schema),  # type: ignore[misc]
                array, names, target,
            )  # fmt: skip
        pipeline = check_reads_arrays(
            f"candidate {contender.name}", lambda: contender.pipeline(parameters), array, names, target
        )
    save(plain_numbers(pipeline), workspace.root)


# ------------------------------------------------------------------------------------------------ made-up rows


def draft_schema(workspace: Workspace) -> Schema:
    """What rows will look like by the contract alone; classes and series are made up."""
    project, contract = workspace.project, workspace.contract
    data, task = project.data, project.model.task
    classes = _draft_classes(contract.columns.get(data.target or ""))
    output = (
        Output(task, data.target or "", classes, classes[-1]) if task == "classification" else Output(task)
    )
    if data.series is not None:
        series = data.series
        shape = SeriesShape(("a", "b"), series.every, series.window, series.horizon, series.season)
        return Schema(project.name, (), output, shape)
    columns = contract.features(*not_features(project))
    return Schema(project.name, tuple(field_of(name, column) for name, column in columns.items()), output)


def _draft_classes(target: Column | None) -> tuple[str, ...]:
    listed = target.values if target is not None and target.values else ()
    return tuple(sorted(listed)) if len(listed) > 1 else ("no", "yes")


def made_up_rows(schema: Schema, rows: int) -> Batch:
    """Encoded rows within the schema's bounds, some values missing where they may be."""
    generator = np.random.default_rng(0)
    if schema.series is not None:
        codes = generator.integers(0, len(schema.series.keys), (rows, 1)).astype(np.float32)
        return Batch(
            np.hstack([codes, generator.normal(size=(rows, len(schema.columns) - 1))]).astype(np.float32)
        )
    columns = {field.name: _values(field, rows, generator) for field in schema.fields}
    return encode(schema, columns)


def _values(field: Field, rows: int, generator: np.random.Generator) -> list[Any]:
    values = _present(field, rows, generator)
    if field.missing == "allow" and field.kind != "text":
        return [None if row % 10 == 9 else value for row, value in enumerate(values)]
    return values


def _present(field: Field, rows: int, generator: np.random.Generator) -> list[Any]:
    match field.kind:
        case "number":
            return list(generator.uniform(*_ends(field), rows))
        case "integer":
            return [math.floor(number) for number in generator.uniform(*_ends(field), rows)]
        case "boolean":
            return list(generator.random(rows) < 0.5)
        case "category":
            return list(generator.choice(field.values or ("?",), rows))
        case "datetime":
            hours = generator.integers(0, 8760, rows)
            return [datetime(2024, 1, 1) + timedelta(hours=int(hour)) for hour in hours]
        case "text":
            return [" ".join(generator.choice(_WORDS, 8)) for _ in range(rows)]


def _ends(field: Field) -> tuple[float, float]:
    """The field's bounds; a span of 100 where one or both are open."""
    if field.minimum is not None:
        return field.minimum, field.minimum + 100.0 if field.maximum is None else field.maximum
    return (0.0, 100.0) if field.maximum is None else (field.maximum - 100.0, field.maximum)


def made_up_target(output: Output, rows: int) -> NDArray[Any] | None:
    """What estimators are fitted to: every class in turn, or rising numbers."""
    if output.task == "clustering":
        return None
    if output.task == "classification":
        return np.arange(rows) % len(output.classes)
    return np.linspace(0.0, 1.0, rows)
