"""What came of each parameter set: one JSON line a trial, so that any number of workers can be put together."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.errors import TrainingError
from fairlead.records import JsonRecord
from fairlead.spec.metrics import Metric


@dataclass(frozen=True, slots=True)
class Trial(JsonRecord):
    """One parameter set of one candidate, cross-validated."""

    number: int
    """Position in the whole search, whoever worked on it."""
    candidate: str
    parameters: Mapping[str, Any]
    value: float | None
    """Mean of the objective over the folds; None if the trial failed."""
    fold_values: Sequence[float] = ()
    seconds: float = 0.0
    error: str = ""
    """Why it failed, and in which fold."""


def write_trials(path: Path, trials: Iterable[Trial]) -> None:
    """Write *trials* as JSON lines, in order of their numbers, all or nothing."""
    lines = [
        json.dumps(dataclasses.asdict(trial), sort_keys=True, allow_nan=False)
        for trial in sorted(trials, key=lambda trial: trial.number)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    temporary.replace(path)


def read_trials(paths: Iterable[Path]) -> list[Trial]:
    """The trials of all workers, in order of their numbers."""
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted((Trial.from_json(line) for line in lines), key=lambda trial: trial.number)


def best(trials: Sequence[Trial], metric: Metric) -> Trial:
    """The trial with the best value; among equals the one with fewer parameters, then the earlier one.

    Raises:
        TrainingError: No trial has a value; the reasons are listed.
    """
    measured = [(trial.value, trial) for trial in trials if trial.value is not None]
    if not measured:
        raise _none_trained(trials)
    sign = -1.0 if metric.higher_is_better else 1.0
    return min(measured, key=lambda pair: (sign * pair[0], len(pair[1].parameters), pair[1].number))[1]


def _none_trained(trials: Sequence[Trial]) -> TrainingError:
    reasons = sorted({f"{trial.candidate}: {trial.error}" for trial in trials})
    listed = "\n".join(f"  {reason}" for reason in reasons[:10])
    more = f"\n  … and {len(reasons) - 10} more" if len(reasons) > 10 else ""
    return TrainingError(
        f"none of {len(trials)} trials could be trained:\n{listed}{more}",
        hint="Mend the first reason; `fairlead check` tries every candidate on a few made-up rows.",
    )
