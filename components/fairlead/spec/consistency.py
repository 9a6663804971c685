"""Whether the project file and the data contract speak of the same columns."""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.errors import LeakError, ProjectError
from fairlead.nearest import did_you_mean
from fairlead.spec.contract import Contract
from fairlead.spec.project import Project


def check_consistent(project: Project, contract: Contract) -> None:
    """Hold the two files against each other.

    Raises:
        ProjectError: With every name, type and missing feature that does not fit.
        LeakError: All fits, but a feature is only known after the outcome.
    """
    found = [
        *_unknown_columns(project, contract),
        *_wrong_types(project, contract),
        *_feature_mistakes(project, contract),
    ]
    if found:
        raise ProjectError(
            f"fairlead.yaml and {project.data.contract} do not fit together:\n"
            + "\n".join(f"  {line}" for line in found)
        )
    leaks = [
        name for name, column in contract.features(*not_features(project)).items() if column.known == "later"
    ]
    if leaks:
        raise LeakError(
            f"features marked `known: later`: {', '.join(leaks)}; they are not there when a prediction is asked for",
            hint="Set their `use` to `identifier` or `ignore` in the contract.",
        )


def not_features(project: Project) -> frozenset[str]:
    """Columns that the project file gives another role than feature."""
    data = project.data
    series = {*data.series.by, data.series.value} if data.series else set()
    return frozenset({name for name in (data.target, data.time, data.group) if name} | series)


def _named_columns(project: Project) -> Iterator[tuple[str, str]]:
    """Where the project file names a column, and which."""
    data = project.data
    for field, name in (("data.target", data.target), ("data.time", data.time), ("data.group", data.group)):
        if name:
            yield field, name
    if data.series:
        yield "data.series.value", data.series.value
        yield from (("data.series.by", name) for name in data.series.by)
    yield from (("model.slices", name) for name in project.model.slices)
    if project.release.guards.slices:
        yield "release.guards.slices.by", project.release.guards.slices.by
    yield from (("serve.log.inputs", name) for name in project.serve.log.inputs or ())
    if project.serve.log.subject:
        yield "serve.log.subject", project.serve.log.subject


def _unknown_columns(project: Project, contract: Contract) -> Iterator[str]:
    for field, name in _named_columns(project):
        if name not in contract.columns:
            yield f"{field} is {name!r}, which the contract does not have. {did_you_mean(name, contract.columns)}"


def _wrong_types(project: Project, contract: Contract) -> Iterator[str]:
    data, task = project.data, project.model.task
    needed: dict[str, tuple[str | None, tuple[str, ...]]] = {"data.time": (data.time, ("datetime",))}
    if data.series:
        needed["data.series.value"] = (data.series.value, ("number", "integer"))
    if task == "regression":
        needed["data.target"] = (data.target, ("number", "integer"))
    if task == "classification":
        needed["data.target"] = (data.target, ("boolean", "category", "integer", "number", "text"))
    for field, (name, types) in needed.items():
        column = contract.columns.get(name or "")
        if column is not None and column.type not in types:
            yield f"{field} is {name!r} of type {column.type}, but must be {' or '.join(types)}"


def _feature_mistakes(project: Project, contract: Contract) -> Iterator[str]:
    if project.model.task == "forecast":
        return
    features = contract.features(*not_features(project))
    if not features:
        yield "the contract leaves no feature: every column is target, time, group, identifier or ignored"
    for name, column in features.items():
        if column.type == "category" and column.values is None:
            yield (
                f"{name} is a category without values; list them (`fairlead data infer` finds them): "
                "their order is the model's encoding"
            )
