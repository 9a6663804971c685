"""Which column plays which part: the project file's names, checked against the contract."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from fairlead.errors import LeakError, ProjectError
from fairlead.spec import Column, Contract, Project
from fairlead.spec.metrics import Task
from fairlead.spec.project import Split

SplitMethod = Literal["random", "stratified", "group", "time"]


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
        ProjectError: A name that the contract does not have, a type that cannot play its part, or no feature at all.
        LeakError: A feature that is only known after the outcome.
    """
    data, task = project.data, project.model.task
    played = {"data.target": data.target, "data.time": data.time, "data.group": data.group}
    if data.series:
        played |= {"data.series.value": data.series.value} | {
            f"data.series.by ({name})": name for name in data.series.by
        }
    for field, name in played.items():
        if name is not None:
            _check_known(field, name, contract)
    _check_types(project, contract)
    parts = {name for name in played.values() if name is not None}
    features = () if task == "forecast" else tuple(contract.features(data.target, data.time, data.group))
    _check_features(features, contract, project)
    method = split_method(data.split, task, time=data.time, group=data.group)
    return Roles(
        task=task,
        target=data.target,
        time=data.time,
        group=data.group,
        split=method,
        features=features,
        kept=tuple(
            name for name, column in contract.columns.items() if column.use != "ignore" or name in parts
        ),
        needed=_needed(project, method),
    )


def split_method(split: Split, task: Task, *, time: str | None, group: str | None) -> SplitMethod:
    """How rows are divided, with ``auto`` resolved: by time, else by group, else stratified for classes, else random.

    >>> split_method(Split(), "classification", time=None, group=None)
    'stratified'
    >>> split_method(Split(), "classification", time="at", group="customer")
    'time'
    """
    if task == "forecast":
        return "time"
    if split.method != "auto":
        return split.method
    if time is not None:
        return "time"
    if group is not None:
        return "group"
    return "stratified" if task == "classification" else "random"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The nearest of *names* as a question, or all of them if none is near.

    >>> did_you_mean("amuont", ["amount", "at"])
    "Did you mean 'amount'?"
    """
    known = list(names)
    by_fold = {other.casefold(): other for other in reversed(known)}
    nearest = difflib.get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.6)
    if nearest:
        return f"Did you mean {by_fold[nearest[0]]!r}?"
    shown = ", ".join(known[:20]) + (" …" if len(known) > 20 else "")
    return f"There are: {shown or 'no columns'}."


def _check_known(field: str, name: str, contract: Contract) -> None:
    if name not in contract.columns:
        raise ProjectError(
            f"{field} is {name!r}, but the contract has no such column",
            hint=did_you_mean(name, contract.columns),
        )


def _check_types(project: Project, contract: Contract) -> None:
    data, columns = project.data, contract.columns
    if data.time is not None and columns[data.time].type != "datetime":
        raise _wrong_type("data.time", data.time, columns[data.time], "datetime")
    if project.model.task == "regression" and data.target is not None:
        _check_number("data.target", data.target, columns[data.target])
    if data.series is not None:
        _check_number("data.series.value", data.series.value, columns[data.series.value])
    if project.model.task == "classification" and data.target is not None:
        column = columns[data.target]
        if column.type not in ("category", "boolean", "integer", "number", "text"):
            raise _wrong_type("data.target", data.target, column, "category, boolean or integer")


def _check_number(field: str, name: str, column: Column) -> None:
    if column.type not in ("number", "integer"):
        raise _wrong_type(field, name, column, "number or integer")


def _wrong_type(field: str, name: str, column: Column, wanted: str) -> ProjectError:
    return ProjectError(f"{field} is {name!r} of type {column.type}, but must be of type {wanted}")


def _check_features(features: tuple[str, ...], contract: Contract, project: Project) -> None:
    if not features and project.model.task != "forecast":
        raise ProjectError(
            "the contract leaves no feature for the model",
            hint="A feature is a column with `use: feature` that is not the target, the time or the group.",
        )
    for name in features:
        if contract.columns[name].known == "later":
            raise LeakError(
                f"the feature {name!r} is marked `known: later`: it would not be there when a prediction is asked for",
                hint="Set its `use` to `identifier` or `ignore` in the contract.",
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
