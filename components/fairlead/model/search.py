"""Which parameter sets are tried, and how good each is by cross-validation.

The sets of a grid or random search follow from their numbers alone: every worker works out the whole plan and takes its
share of it, so that the number of workers changes nothing but the time. TPE (tree-structured Parzen estimator, Bergstra et
al. 2011) learns from what it tried before, so each worker learns from its own share: the same number of workers gives the
same result, another number gives another.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fairlead.model.candidates import Contender, Parameters
from fairlead.model.fit import ask, first_line, fit_quietly, space_of
from fairlead.model.folds import Fold
from fairlead.model.objective import Objective
from fairlead.model.rows import Rows
from fairlead.model.space import Choice, Space, draw, grid
from fairlead.model.trials import Trial
from fairlead.spec.project import Search

ATTEMPTS = 20
"""Draws for one trial until it differs from all before it. After that the space is taken to hold no more."""
STARTUP = 5
"""TPE: random draws of each candidate before it starts to learn."""

Point = tuple[int, dict[str, Any]]
"""Position of a contender, and parameters for it."""


def turn(number: int, contenders: int) -> int:
    """Whose trial *number* is. Rounds start one contender later each time, so that every worker gets some of each.

    >>> [turn(number, 2) for number in range(6)]
    [0, 1, 1, 0, 0, 1]
    """
    round_, place = divmod(number, contenders)
    return (place + round_) % contenders


def plan(search: Search, spaces: Sequence[Space]) -> dict[int, Point]:
    """Trial number to what is tried, for grid and random search. A space that holds no more gives fewer trials."""
    return _grid_plan(search, spaces) if search.method == "grid" else _random_plan(search, spaces)


def _random_plan(search: Search, spaces: Sequence[Space]) -> dict[int, Point]:
    seen: set[str] = set()
    found: dict[int, Point] = {}
    for number in range(search.trials):
        who = turn(number, len(spaces))
        for attempt in range(ATTEMPTS):
            parameters = draw(spaces[who], np.random.default_rng([search.seed, number, attempt]))
            if f"{who} {parameters}" not in seen:
                seen.add(f"{who} {parameters}")
                found[number] = (who, parameters)
                break
    return found


def _grid_plan(search: Search, spaces: Sequence[Space]) -> dict[int, Point]:
    numbers = [[n for n in range(search.trials) if turn(n, len(spaces)) == who] for who in range(len(spaces))]
    found: dict[int, Point] = {}
    for who, (space, own) in enumerate(zip(spaces, numbers, strict=True)):
        points = grid(space)
        # More points than trials: the ones tried are spread evenly over the grid.
        chosen = (
            [points[k * len(points) // len(own)] for k in range(len(own))]
            if len(points) > len(own)
            else points
        )
        found |= {number: (who, point) for number, point in zip(own, chosen, strict=False)}
    return dict(sorted(found.items()))


# ------------------------------------------------------------------------------------------------- who says what next


class Sampler(Protocol):
    """Gives the parameters of a worker's trials, one after the other."""

    def numbers(self) -> Sequence[int]:
        """The trials this worker runs."""

    def ask(self, number: int) -> Point:
        """What trial *number* is to try."""

    def tell(self, number: int, value: float | None) -> None:
        """What came of it."""


@dataclass(frozen=True, slots=True)
class Planned:
    """Grid and random: everything is known beforehand."""

    points: dict[int, Point]

    def numbers(self) -> Sequence[int]:
        """See :class:`Sampler`."""
        return sorted(self.points)

    def ask(self, number: int) -> Point:
        """See :class:`Sampler`."""
        return self.points[number]

    def tell(self, number: int, value: float | None) -> None:
        """Nothing is learnt."""


class Tpe:
    """One optuna study a contender, asked and told."""

    def __init__(self, search: Search, spaces: Sequence[Space], worker: int, *, maximise: bool) -> None:
        """Studies are seeded by search seed, worker and contender."""
        import optuna  # noqa: PLC0415 - most searches never need it

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._spaces = spaces
        self._numbers = range(worker, search.trials, search.workers)
        self._open: dict[int, Any] = {}
        self._studies = [
            optuna.create_study(
                direction="maximize" if maximise else "minimize",
                sampler=optuna.samplers.TPESampler(
                    seed=_seed(search.seed, worker, who), n_startup_trials=STARTUP
                ),
            )
            for who in range(len(spaces))
        ]

    def numbers(self) -> Sequence[int]:
        """See :class:`Sampler`."""
        return self._numbers

    def ask(self, number: int) -> Point:
        """See :class:`Sampler`."""
        who = turn(number, len(self._spaces))
        trial = self._open[number] = self._studies[who].ask()
        return who, {name: _suggest(trial, name, self._spaces[who]) for name in sorted(self._spaces[who])}

    def tell(self, number: int, value: float | None) -> None:
        """See :class:`Sampler`."""
        from optuna.trial import TrialState  # noqa: PLC0415 - as above

        study, trial = self._studies[turn(number, len(self._spaces))], self._open.pop(number)
        if value is None:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, value)


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _suggest(trial: Any, name: str, space: Space) -> Any:
    found = space[name]
    if isinstance(found, Choice):
        # By position: optuna keeps plain scalars only, and a choice may be a list.
        return found.values[trial.suggest_categorical(name, list(range(len(found.values))))]
    if found.whole:
        step = 1 if found.log else int(found.step or 1)
        return trial.suggest_int(name, int(found.low), int(found.high), log=found.log, step=step)
    return trial.suggest_float(name, found.low, found.high, log=found.log, step=found.step)


def sampler_of(search: Search, contenders: Sequence[Contender], worker: int, *, maximise: bool) -> Sampler:
    """The sampler of worker number *worker* of ``search.workers``."""
    spaces = [contender.space for contender in contenders]
    if search.method == "tpe":
        return Tpe(search, spaces, worker, maximise=maximise)
    mine = {
        number: point for number, point in plan(search, spaces).items() if number % search.workers == worker
    }
    return Planned(mine)


# --------------------------------------------------------------------------------------------------- cross-validation


class CrossValidation:
    """Training rows with their folds. Features that several trials prepare alike are prepared once a fold."""

    def __init__(
        self, rows: Rows, target: NDArray[Any] | None, folds: Sequence[Fold], objective: Objective
    ) -> None:
        """*target* is what estimators are fitted to, see :func:`fairlead.model.fit.target_of`."""
        self._rows, self._target, self._folds, self._objective = rows, target, folds, objective
        self._prepared: OrderedDict[tuple[int, Any], tuple[Any, Any]] = OrderedDict()

    def values(self, contender: Contender, parameters: Parameters) -> Iterator[float | None]:
        """The objective fold by fold; None where it is not defined. Raises whatever the estimator raises."""
        for number, fold in enumerate(self._folds):
            train, valid = self._features(number, contender, parameters)
            target = None if self._target is None else self._target[fold.train]
            estimator = fit_quietly(contender.estimator(parameters), train, target)
            scale = None if self._rows.scale is None else self._rows.scale[fold.valid]
            answers = ask(estimator, self._objective.output, valid)
            points = space_of(estimator, valid) if self._objective.output.task == "clustering" else None
            yield self._objective.measure(self._rows.actual[fold.valid], answers, scale=scale, matrix=points)

    def _features(self, number: int, contender: Contender, parameters: Parameters) -> tuple[Any, Any]:
        key = (number, contender.features_key(parameters))
        if key not in self._prepared:
            self._prepared[key] = self._prepare(self._folds[number], contender, parameters)
            if len(self._prepared) > 4 * len(self._folds):
                self._prepared.popitem(last=False)
        return self._prepared[key]

    def _prepare(self, fold: Fold, contender: Contender, parameters: Parameters) -> tuple[Any, Any]:
        train, valid = self._rows.array[fold.train], self._rows.array[fold.valid]
        features = contender.features(parameters)
        if features is None:
            return train, valid
        target = None if self._target is None else self._target[fold.train]
        return features.fit_transform(train, target), features.transform(valid)


def run_trial(
    number: int,
    contender: Contender,
    parameters: Parameters,
    validation: CrossValidation,
    clock: Callable[[], float],
) -> Trial:
    """Cross-validate one parameter set. An estimator that raises gives a failed trial with the reason, not an error.

    Args:
        number: Of the trial.
        contender: The candidate.
        parameters: To be tried.
        validation: Rows and folds.
        clock: Seconds.
    """
    start, values, error = clock(), [], ""
    try:
        for value in validation.values(contender, parameters):
            values.append(value)  # noqa: PERF402 - the folds that went well before a failure are counted below
    except Exception as cause:  # an estimator may raise anything; the other trials go on
        error = f"fold {len(values) + 1}: {type(cause).__name__}: {first_line(cause)}"
    measured = [value for value in values if value is not None]
    if not error and not measured:
        error = "the objective is not defined on any fold (one class, or one cluster)"
    mean = None if error else float(np.mean(measured))
    return Trial(number, contender.name, dict(parameters), mean, measured, round(clock() - start, 3), error)
