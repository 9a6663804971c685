"""The model stage: search, then train, evaluate and judge. Joins the modules of this package with a tracker and a champion."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from numpy.typing import NDArray

from fairlead.atomic import write_text
from fairlead.errors import GateFailed
from fairlead.model.candidates import Contender, contenders
from fairlead.model.evaluation import Evaluation
from fairlead.model.fit import target_of
from fairlead.model.folder import write_candidate
from fairlead.model.folds import Fold, folds
from fairlead.model.objective import Objective
from fairlead.model.page import ModelReport, RenderedReport, compose
from fairlead.model.result import Result, result_of
from fairlead.model.rows import Rows, read_rows, schema_of
from fairlead.model.search import CrossValidation, run_trial, sampler_of
from fairlead.model.trials import Trial, best, read_trials, write_trials
from fairlead.model.usercheck import check_reads_arrays, few_rows
from fairlead.records import Candidate, Champion, Dataset, Progress, Tracker, Workspace
from fairlead.spec.splitting import split_method

__all__ = ["log_curves", "read_trials", "run", "search"]

SAMPLE_ROWS = 1_000
"""Training rows whose column types are logged as the run's input."""


def search(
    workspace: Workspace, dataset: Dataset, worker: int, tracker: Tracker, progress: Progress, out: Path
) -> list[Trial]:
    """Cross-validate this worker's share of the parameter sets.

    Args:
        workspace: The project.
        dataset: The snapshot.
        worker: Number of this worker, from 0 to ``search.workers`` - 1.
        tracker: Where each finished trial is kept.
        progress: What people see.
        out: Where the trials are written, one JSON line each.

    Raises:
        ProjectError: An unknown candidate or a space that does not fit.
        UserCodeError: The project's transformer needs pandas, or cannot be imported.
        DataError: Not enough rows, classes, times or groups to cross-validate.
    """
    project, schema = workspace.project, schema_of(dataset)
    entrants = contenders(project, workspace.root, schema)
    objective = Objective.of(project, schema.output)
    rows = read_rows(Path(dataset.path), "train", schema, project)
    target = target_of(schema.output, rows)
    _check_own_features(workspace, entrants[0], rows, target)
    validation = CrossValidation(rows, target, _folds(workspace, rows, target), objective)
    trials = _run_trials(workspace, entrants, validation, worker, tracker, progress, objective)
    write_trials(out, trials)
    return trials


def _run_trials(
    workspace: Workspace,
    entrants: Sequence[Contender],
    validation: CrossValidation,
    worker: int,
    tracker: Tracker,
    progress: Progress,
    objective: Objective,
) -> list[Trial]:
    settings = workspace.project.model.search
    sampler = sampler_of(settings, entrants, worker, maximise=objective.metric.higher_is_better)
    done: list[Trial] = []
    with progress.bar(f"trials ({objective.name})", len(sampler.numbers())) as advance:
        for number in sampler.numbers():
            who, parameters = sampler.ask(number)
            trial = run_trial(number, entrants[who], parameters, validation, time.perf_counter)
            sampler.tell(number, trial.value)
            tracker.trial(
                f"trials-{tracker.run_id[:8]}",
                number,
                {"candidate": trial.candidate, **parameters},
                trial.value,
                trial.seconds,
            )
            if trial.error:
                progress.note(f"trial {number} of {trial.candidate} failed: {trial.error}")
            done.append(trial)
            advance(1)
    return done


def _folds(workspace: Workspace, rows: Rows, target: NDArray[Any] | None) -> list[Fold]:
    project = workspace.project
    codes = target if project.model.task == "classification" else None
    settings = project.model.search
    return folds(
        split_method(project), settings.folds, len(rows),
        labels=codes, time=rows.time, group=rows.group, seed=settings.seed,
    )  # fmt: skip


def _check_own_features(
    workspace: Workspace, first: Contender, rows: Rows, target: NDArray[Any] | None
) -> None:
    path, make = workspace.project.model.features, first.custom_features
    if path is None or make is None:
        return
    few = few_rows(target, len(rows))
    names = [*first.schema.columns, *first.schema.texts]
    check_reads_arrays(
        path, lambda: make(first.schema), rows.array[few], names, None if target is None else target[few]
    )


# ------------------------------------------------------------------------------------------------------------- run


def run(
    workspace: Workspace,
    dataset: Dataset,
    trials: Sequence[Trial],
    champion: Champion | None,
    tracker: Tracker,
    progress: Progress,
    out: Path,
    page: Path,
) -> Candidate:
    """Train the best trial's candidate, evaluate it on the test rows, and judge the gates.

    The candidate's folder and the page are written also when a gate fails, so that people can look.

    Args:
        workspace: The project.
        dataset: The snapshot.
        trials: Of all workers.
        champion: What serves now; None while nothing does.
        tracker: Where everything is logged.
        progress: What people see.
        out: The candidate's folder.
        page: The page about the model, HTML.

    Raises:
        TrainingError: No trial could be trained.
        UserCodeError: skops cannot save the model.
        GateFailed: A gate does not let the model through; every such gate is named with what was measured.
    """
    schema = schema_of(dataset)
    objective = Objective.of(workspace.project, schema.output)
    winner = best(trials, objective.metric)
    progress.note(f"best of {len(trials)} trials: {winner.candidate}, {objective.name} {winner.value:.4g}")
    [entrant] = [
        one for one in contenders(workspace.project, workspace.root, schema) if one.name == winner.candidate
    ]
    result = result_of(workspace, dataset, entrant, winner, objective, champion)
    for warning in result.trained.warnings:
        progress.note(f"while training: {warning}")
    candidate = write_candidate(workspace, dataset, result, out)
    rendered = compose(_report(workspace, dataset, result, trials))
    write_text(page, rendered.html)
    _log(workspace, dataset, result, rendered, tracker, out)
    progress.note(result.evaluation.summary)
    _stop_unless_through(result)
    return candidate


def _report(workspace: Workspace, dataset: Dataset, result: Result, trials: Sequence[Trial]) -> ModelReport:
    return ModelReport(
        project=workspace.project.name,
        statement=workspace.project.problem.statement,
        candidate=result.trained.trial.candidate,
        parameters=result.trained.trial.parameters,
        evaluation=result.evaluation,
        gates=result.gates,
        importance=result.importance,
        importance_metric=result.importance_metric,
        learning=result.learning,
        verdict=result.verdict,
        trials=trials,
        digests={"dataset": dataset.digest, "project": workspace.digest},
    )


def _log(
    workspace: Workspace,
    dataset: Dataset,
    result: Result,
    rendered: RenderedReport,
    tracker: Tracker,
    out: Path,
) -> None:
    winner, evaluation = result.trained.trial, result.evaluation
    settings = workspace.project.model.search
    tracker.params(
        {"candidate": winner.candidate, "objective": evaluation.objective, "search": settings.method}
        | {
            "trials": settings.trials,
            "folds": settings.folds,
            "workers": settings.workers,
            "seed": settings.seed,
        }
        | {f"parameter.{name}": value for name, value in sorted(winner.parameters.items())}
    )
    tracker.metrics(evaluation.figures)
    tracker.metrics({f"baseline_{name}": value for name, value in evaluation.baseline.items()})
    for point in result.learning:
        tracker.metrics({"learning_train": point.train, "learning_valid": point.valid}, step=point.rows)
    tracker.tags({"fairlead.candidate": winner.candidate, "fairlead.learning": result.verdict.fit})
    if settings.method == "tpe" and settings.workers > 1:
        tracker.tags(
            {"fairlead.repeatable": f"only with {settings.workers} workers: each learns from its own trials"}
        )
    sample = pq.ParquetFile(Path(dataset.path) / "train.parquet").iter_batches(SAMPLE_ROWS)
    tracker.dataset(dataset, next(sample).to_pandas(), "training")
    tracker.artifact(out / "evaluation.json")
    tracker.artifact(out / "schema.json")
    _log_page(rendered, tracker)


def _log_page(rendered: RenderedReport, tracker: Tracker) -> None:
    """The page and its pictures, under names that say what they are."""
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "model.html"
        page.write_text(rendered.html, encoding="utf-8")
        tracker.artifact(page)
        folder = Path(scratch) / "figures"
        folder.mkdir()
        for picture in rendered.pictures:
            (folder / picture.filename).write_bytes(picture.data)
        tracker.artifact(folder, "figures")


def _stop_unless_through(result: Result) -> None:
    missed = [gate for gate in result.gates if not gate.outcome.lets_through]
    if missed:
        lines = "\n".join(f"  {gate.outcome}: {gate.reason}" for gate in missed)
        raise GateFailed(
            f"{len(missed)} of {len(result.gates)} gates do not let the model through:\n{lines}",
            hint="Nothing was registered. The page of the model stage shows where it is weak.",
        )


# -------------------------------------------------------------------------------------------------------- for KFP


def log_curves(candidate: Candidate, metrics: Any) -> None:
    """Show the ROC curve and the confusion matrix of a classification in the KFP UI.

    Args:
        candidate: Whose ``evaluation.json`` is read.
        metrics: A ``kfp.dsl.ClassificationMetrics``.
    """
    detail = Evaluation.from_json((Path(candidate.path) / "evaluation.json").read_bytes()).classes
    if detail is None:
        return
    metrics.log_confusion_matrix(list(detail.classes), [list(row) for row in detail.confusion])
    if detail.roc is not None:
        metrics.log_roc_curve(list(detail.roc.x), list(detail.roc.y), list(detail.roc.at))
