"""A contract's column as a field of the served schema."""

from __future__ import annotations

from fairlead.schema import Field
from fairlead.spec.contract import Column


def field_of(name: str, column: Column) -> Field:
    """What a request must send for *column*; rules for training data only, such as ``unique``, are left out."""
    return Field(
        name=name,
        kind=column.type,
        unit=column.unit or "",
        minimum=column.minimum,
        maximum=column.maximum,
        values=column.values or (),
        pattern=column.pattern or "",
        max_length=column.max_length,
        missing=column.missing,
        unknown=column.unknown,
        case=column.case,
        parts=column.parts if column.type == "datetime" else (),
    )
