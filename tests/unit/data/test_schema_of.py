from __future__ import annotations

from typing import Any

import pytest

from fairlead.data.roles import roles_of
from fairlead.data.schema_of import positive_class, schema_of
from fairlead.errors import ProjectError

from .conftest import contract_of, project_of

COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"type": "text", "use": "identifier"},
    "at": {"type": "datetime", "parts": ["hour"]},
    "amount": {"type": "number", "unit": "EUR", "minimum": 0},
    "kind": {"type": "category", "values": ["b", "a"], "unknown": "other", "case": "lower"},
    "y": {"type": "boolean"},
}


def test_the_schema_has_the_features_in_contract_order() -> None:
    project, contract = project_of(target="y"), contract_of(COLUMNS)
    schema = schema_of(project, contract, roles_of(project, contract), {"false": 9, "true": 1})

    assert schema.columns == ("at.hour", "amount", "kind")
    assert schema.field("kind").values == ("b", "a")
    assert (schema.output.classes, schema.output.positive) == (("false", "true"), "true")


@pytest.mark.parametrize(
    ("classes", "wanted", "positive"),
    [
        ({"0": 1, "1": 99}, None, "1"),
        ({"False": 1, "True": 99}, None, "True"),
        ({"no": 1, "yes": 99}, None, "yes"),
        ({"ham": 70, "spam": 30}, None, "spam"),
        ({"ham": 70, "spam": 30}, "ham", "ham"),
        ({"a": 1, "b": 1, "c": 1}, None, ""),
    ],
)
def test_the_positive_class_is(classes: dict[str, int], wanted: str | None, positive: str) -> None:
    assert positive_class(classes, wanted) == positive


def test_a_positive_class_that_the_target_lacks_is_refused() -> None:
    with pytest.raises(
        ProjectError, match=r"model\.positive is 'fraud', but the target's classes are ham, spam"
    ):
        positive_class({"ham": 1, "spam": 1}, "fraud")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"target": "z"}, "data.target is 'z', which the contract does not have"),
        (
            {"target": "y", "time": "amount"},
            "data.time is 'amount' of type number, but must be datetime",
        ),
        ({"target": "y", "group": "idd"}, "data.group is 'idd'"),
        ({"target": "at"}, "data.target is 'at' of type datetime"),
    ],
)
def test_names_and_types_must_fit_their_part(data: dict[str, str], message: str) -> None:
    with pytest.raises(ProjectError, match=message):
        roles_of(project_of(**data), contract_of(COLUMNS))


def test_a_contract_without_features_is_refused() -> None:
    with pytest.raises(ProjectError, match="no feature"):
        roles_of(project_of(target="y"), contract_of({"y": {"type": "boolean"}}))
