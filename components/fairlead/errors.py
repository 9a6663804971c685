"""The errors fairlead raises on purpose, each with the exit code a script can branch on.

::

    FairleadError                    exit 1   something went wrong that a person can read about
    ├── ProjectError                 exit 2   fairlead.yaml, the contract or an argument is wrong
    │   └── UserCodeError            exit 2   the project's own Python code is missing or unusable
    ├── DataError                    exit 3   the data cannot be read, or breaks the contract
    │   └── LeakError                exit 3   the split would let the model see what it must predict
    ├── TrainingError                exit 4   no candidate could be trained
    ├── GateFailed                   exit 5   a bar was missed: nothing was registered
    ├── ExportError                  exit 6   no format reproduces the trained model
    ├── IntegrityError               exit 7   a digest does not match, or a file is not what it claims
    ├── ServiceError                 exit 8   MLflow, Kubernetes, a database, a port or a disk is not usable
    │   └── Conflict                 exit 8   an object moved on between looking and writing
    └── NotFound                     exit 9   no such run, model or bundle

A message names the value, the rule and the way out. The cause is chained (``raise … from cause``), so that
a task's log shows it. Anything that is not a FairleadError is a bug, and is shown with its traceback.
"""

from __future__ import annotations

import json


class FairleadError(Exception):
    """Something went wrong that a person can read about and mend."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep *message* (what is wrong) and *hint* (what to do about it)."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def to_json(self) -> str:
        """The error as text, so that it can cross a process boundary: a task fails, its runner raises."""
        return json.dumps({"kind": type(self).__name__, "message": self.message, "hint": self.hint})

    @staticmethod
    def from_json(text: str) -> FairleadError:
        """The inverse of :meth:`to_json`; an unknown kind becomes a plain FairleadError."""
        record = json.loads(text)
        kinds = {kind.__name__: kind for kind in _all_kinds(FairleadError)}
        return kinds.get(record["kind"], FairleadError)(record["message"], hint=record["hint"])


def _all_kinds(kind: type[FairleadError]) -> list[type[FairleadError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _all_kinds(child))]


class ProjectError(FairleadError):
    """The project file, the contract or an argument is wrong."""

    exit_code = 2


class UserCodeError(ProjectError):
    """The project's own Python code is missing or cannot be used as asked."""


class DataError(FairleadError):
    """The data cannot be read, or breaks its contract."""

    exit_code = 3


class LeakError(DataError):
    """The split would let the model see what it must predict."""


class TrainingError(FairleadError):
    """No candidate could be trained."""

    exit_code = 4


class GateFailed(FairleadError):
    """A bar was missed. Nothing was registered."""

    exit_code = 5


class ExportError(FairleadError):
    """No format reproduces the trained model within the tolerance."""

    exit_code = 6


class IntegrityError(FairleadError):
    """A digest does not match, or a file is not what it claims to be."""

    exit_code = 7


class ServiceError(FairleadError):
    """Something outside fairlead (MLflow, Kubernetes, a database, a port, a disk) is not usable."""

    exit_code = 8


class Conflict(ServiceError):
    """Someone else wrote an object first, or may write in our place: look again before deciding anything."""


class NotFound(FairleadError):
    """There is no such run, model version or bundle."""

    exit_code = 9
