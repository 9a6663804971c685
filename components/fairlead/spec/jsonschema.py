"""The models as JSON schemas, for editors; ``make check`` compares them with the files beside this one."""

from __future__ import annotations

import json

from pydantic import BaseModel

from fairlead.spec.contract import Contract
from fairlead.spec.project import Project

SCHEMA_FILES: dict[str, type[BaseModel]] = {"project.schema.json": Project, "contract.schema.json": Contract}


def schema_text(name: str) -> str:
    """The JSON schema of the file *name* of :data:`SCHEMA_FILES`.

    >>> json.loads(schema_text("project.schema.json"))["additionalProperties"]
    False
    """
    return json.dumps(SCHEMA_FILES[name].model_json_schema(), indent=1, ensure_ascii=False) + "\n"
