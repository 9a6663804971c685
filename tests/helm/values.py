"""What the tests of both charts' values share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from tools.charts.common import Values


def values_in(path: Path) -> dict[str, Any]:
    """A file of values."""
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def undocumented(model: type[Values]) -> list[str]:
    """The groups without a docstring and the values without a description, below *model*."""
    mute = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Values):
            mute += [] if kind.__doc__ else [f"{model.__name__}.{name}"]
            mute += undocumented(kind)
        elif not field.description:
            mute.append(f"{model.__name__}.{name}")
    return mute
