"""Which column plays which part: the project file's names, checked against the contract."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead.spec import Contract, Project
from fairlead.spec.consistency import check_consistent, not_features
from fairlead.spec.metrics import Task
from fairlead.spec.splitting import SplitMethod, split_method


@dataclass(frozen=True, slots=True)
class Roles:
    """The parts that columns play in one project."""

    task: Task
    target: str | None
    time: str | None
    group: str | None
    split: SplitMethod
    features: tuple[str, ...]
    """What the model sees, in contract order; empty for a forecast, which sees a series."""
    kept: tuple[str, ...]
    """Columns of the dataset, in contract order: all but those with ``use: ignore``."""
    needed: frozenset[str]
    """Columns in which a missing value makes a row useless, whatever the contract allows."""


def roles_of(project: Project, contract: Contract) -> Roles:
    """Read the parts from *project* and check them against *contract*.

    Raises:
        ProjectError, LeakError: As :func:`fairlead.spec.consistency.check_consistent`.
    """
    check_consistent(project, contract)
    data, task = project.data, project.model.task
    parts = not_features(project)
    method = split_method(project)
    return Roles(
        task=task,
        target=data.target,
        time=data.time,
        group=data.group,
        split=method,
        features=() if task == "forecast" else tuple(contract.features(*parts)),
        kept=tuple(
            name for name, column in contract.columns.items() if column.use != "ignore" or name in parts
        ),
        needed=_needed(project, method),
    )


def _needed(project: Project, method: SplitMethod) -> frozenset[str]:
    data = project.data
    needed = {data.target}
    if method == "time":
        needed.add(data.time)
    if method == "group":
        needed.add(data.group)
    if data.series is not None:
        needed |= {data.series.value, *data.series.by}
    return frozenset(name for name in needed if name is not None)
