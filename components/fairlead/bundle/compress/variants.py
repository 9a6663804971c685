"""What a variant is: a model that could be served instead of the trained one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class NothingToDo(Exception):
    """A method has nothing to work on in this model. The message says why, for the table."""


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """A model made from the trained one: a fitted estimator, which is exported as the trained one was, or a finished graph."""

    name: str
    method: str
    says: str
    """What was done, in a few words."""
    estimator: Any = None
    graph: bytes | None = None
    """ONNX; None for estimators."""
