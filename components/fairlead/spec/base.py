"""What all models of the project file share."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict


class Misfits(ValueError):
    """Parts of a file that do not fit each other, each named by its own place in the file."""

    def __init__(self, found: Sequence[tuple[tuple[str | int, ...], str]]) -> None:
        """Keep (location, rule) pairs, locations as pydantic writes them."""
        super().__init__("; ".join(rule for _, rule in found))
        self.found = tuple(found)


class SpecModel(BaseModel):
    """A frozen model that refuses unknown keys, so that a typing error can never be silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)
