"""The contract and what was found in the data, as the schema that is served."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.data.roles import Roles
from fairlead.errors import ProjectError
from fairlead.schema import Output, Schema, SeriesShape
from fairlead.spec import Contract, Project
from fairlead.spec.served import field_of

_YES = ("1", "true", "yes")


def schema_of(
    project: Project,
    contract: Contract,
    roles: Roles,
    classes: Mapping[str, int],
    series: SeriesShape | None = None,
) -> Schema:
    """The served schema.

    Args:
        project: Names the model and the positive class.
        contract: The features and their rules.
        roles: Which columns are features.
        classes: Rows by class (classification).
        series: Shape of a request (forecast).

    Raises:
        ProjectError: ``model.positive`` is no class of the target.
    """
    fields = tuple(field_of(name, contract.columns[name]) for name in roles.features)
    return Schema(project.name, fields, _output(project, contract, roles, classes), series)


def positive_class(classes: Mapping[str, int], wanted: str | None) -> str:
    """The class that the threshold is about; empty unless there are two.

    >>> positive_class({"no": 90, "yes": 10}, None), positive_class({"ham": 90, "spam": 10}, None)
    ('yes', 'spam')
    >>> positive_class({"a": 5, "b": 5}, None)  # as rare as each other: the later name
    'b'
    """
    if wanted is not None:
        if wanted not in classes:
            raise ProjectError(
                f"model.positive is {wanted!r}, but the target's classes are {', '.join(sorted(classes))}"
            )
        return wanted if len(classes) == 2 else ""
    if len(classes) != 2:
        return ""
    for label in classes:
        if label.lower() in _YES:
            return label
    (one, ones), (other, others) = sorted(classes.items())
    return one if ones < others else other


def _output(project: Project, contract: Contract, roles: Roles, classes: Mapping[str, int]) -> Output:
    target = roles.target or (project.data.series.value if project.data.series else "")
    return Output(
        task=roles.task,
        target=target,
        classes=tuple(sorted(classes)),
        positive=positive_class(classes, project.model.positive) if classes else "",
        unit=(contract.columns[target].unit or "") if target else "",
    )
