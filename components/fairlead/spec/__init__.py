"""What a person writes: the project file and the data contract, as typed and documented models.

In: YAML text. Out: frozen :class:`Project` and :class:`Contract` models, or a
:class:`~fairlead.errors.ProjectError` that names line, column, value, rule and the nearest valid name.

Does not belong here: anything that reads data, trains, or talks to a service. A field enters the models
together with the stage that obeys it; there are no fields that are accepted and ignored.
"""

from fairlead.spec.contract import Column, Contract
from fairlead.spec.load import load_contract, load_project, parse_contract, parse_project
from fairlead.spec.project import Project

__all__ = [
    "Column",
    "Contract",
    "Project",
    "load_contract",
    "load_project",
    "parse_contract",
    "parse_project",
]
