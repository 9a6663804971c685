"""From the winning trial to everything that is known about the model: what the folder, the page and the gates are made of."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import FairleadError
from fairlead.gates import ChampionComparison, judge
from fairlead.model.candidates import Contender
from fairlead.model.evaluate import HeldOut, compare, evaluate
from fairlead.model.evaluation import Evaluation
from fairlead.model.forecast_errors import SeriesRows
from fairlead.model.importance import FieldImportance, agreement, measure_of, permutation_importance
from fairlead.model.learning import LearningPoint, LearningVerdict, verdict
from fairlead.model.objective import Objective, default_objective
from fairlead.model.rows import Rows, read_rows, request_columns
from fairlead.model.training import Trained, curve_of, points_of, train
from fairlead.model.trials import Trial
from fairlead.records import Champion, Dataset, GateResult, Workspace
from fairlead.schema import Output

AGREEMENT = "share of rows that stay in their cluster"


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """All that is known at the end of the stage."""

    trained: Trained
    test: Rows
    answers: NDArray[np.float64]
    """To the test rows."""
    evaluation: Evaluation
    gates: Sequence[GateResult]
    importance: Sequence[FieldImportance]
    importance_metric: str
    learning: Sequence[LearningPoint]
    verdict: LearningVerdict


def result_of(
    workspace: Workspace,
    dataset: Dataset,
    contender: Contender,
    trial: Trial,
    objective: Objective,
    champion: Champion | None,
) -> Result:
    """Train, test, compare and judge.

    Args:
        workspace: The project.
        dataset: The snapshot.
        contender: The candidate that won the search.
        trial: Its best parameters.
        objective: What the search optimised.
        champion: What serves now.
    """
    project, folder = workspace.project, Path(dataset.path)
    rows, valid, test = (
        read_rows(folder, split, contender.schema, project) for split in ("train", "valid", "test")
    )
    trained = train(contender, trial, objective, rows, valid)
    held = _held_out(trained, test, folder)
    # Three things nobody waits for: fits and predictions leave Python, so that two cores share the work.
    with ThreadPoolExecutor(2) as beside:
        curve = beside.submit(curve_of, trained, objective, rows, valid)
        weights = beside.submit(_importance, trained, test, held.answers, objective)
        evaluation = _evaluation(trained, held, objective, project.model.search.seed)
        compared = _compared(trained, held, objective, champion, folder)
        learning, (importance, importance_metric) = curve.result(), weights.result()
    baseline = evaluation.baseline.get(objective.name)
    return Result(
        trained=trained,
        test=test,
        answers=held.answers,
        evaluation=replace(evaluation, champion=compared),
        gates=judge(project.model.gates, evaluation.figures, evaluation.baseline, compared),
        importance=importance,
        importance_metric=importance_metric,
        learning=learning,
        verdict=verdict(objective.metric, learning, baseline),
    )


def _held_out(trained: Trained, test: Rows, folder: Path) -> HeldOut:
    clustering = trained.schema.output.task == "clustering"
    return HeldOut(
        answers=trained.answers(test.array),
        baseline=trained.baseline(test.array),
        actual=None if clustering else test.actual,
        groups=test.group,
        slices=test.slices,
        series=series_of(test),
        points=points_of(trained.pipeline, test.array) if clustering else None,
        fields=_raw_fields(trained, folder) if clustering else {},
    )


def series_of(test: Rows) -> SeriesRows | None:
    """Forecast: which series, moment and step each row is about; None for other tasks."""
    if test.scale is None or test.time is None:
        return None
    about = test.identity
    return SeriesRows(about["key"], about["at"], test.time, about["step"], test.scale)


def _raw_fields(trained: Trained, folder: Path) -> dict[str, NDArray[Any]]:
    columns = request_columns(folder, trained.schema)
    kinds = {field.name: field.kind for field in trained.schema.fields}
    return {
        name: np.array(columns[name], dtype=object)
        for name, kind in kinds.items()
        if kind not in ("text", "datetime")
    }


def _evaluation(trained: Trained, held: HeldOut, objective: Objective, seed: int) -> Evaluation:
    return evaluate(
        trained.schema.output,
        held,
        objective=objective.name,
        value=objective.value,
        threshold=trained.choice,
        baseline_threshold=trained.baseline_threshold,
        seed=seed,
    )


def _compared(
    trained: Trained, held: HeldOut, objective: Objective, champion: Champion | None, folder: Path
) -> ChampionComparison | None:
    """The paired comparison; with the reason instead of figures where the champion cannot answer these rows."""
    if champion is None:
        return None
    version, output, rows = str(champion.version.version), trained.schema.output, len(held.answers)
    if champion.output.classes != output.classes:
        return ChampionComparison(
            version, rows, {}, f"it knows the classes {', '.join(champion.output.classes)}"
        )
    try:
        answers = champion.answers(request_columns(folder, trained.schema))
    except (FairleadError, KeyError, ValueError) as cause:
        return ChampionComparison(version, rows, {}, f"it cannot answer these rows: {cause}")
    return compare(
        output, held, answers, threshold_as(output, champion.output), version, value=objective.value
    )


def threshold_as(output: Output, champion: Output) -> float:
    """The champion's threshold, as one on the probability of the class that is positive for *output*.

    >>> classes = ("no", "yes")
    >>> theirs = Output("classification", classes=classes, positive="no", threshold=0.25)
    >>> threshold_as(Output("classification", classes=classes, positive="yes"), theirs)
    0.75
    """
    return champion.threshold if champion.positive == output.positive else 1.0 - champion.threshold


def _importance(
    trained: Trained, test: Rows, answers: NDArray[np.float64], objective: Objective
) -> tuple[Sequence[FieldImportance], str]:
    output = trained.schema.output
    if output.task == "clustering":
        name, (measure, higher) = AGREEMENT, agreement(answers)
    else:
        # Money depends on the threshold alone for most rows; the default objective sees every probability.
        name = objective.name if objective.name != "value_per_1000" else default_objective(output)
        measure, higher = measure_of(output, test.actual, name, test.scale)
    found = permutation_importance(
        trained.schema,
        test.batch,
        trained.answers,
        measure,
        higher_is_better=higher,
        seed=trained.contender.seed,
    )
    return found, name
