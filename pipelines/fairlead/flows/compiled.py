"""Flows and components as the YAML that is committed beside them."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

FLOWS = {"training": "fairlead.flows.training:training"}
"""Name to pipeline function; ``NAME.yaml`` stands beside this file."""

COMPONENTS = {
    "data/component.yaml": "fairlead.data.component:data",
    "model/search.yaml": "fairlead.model.component:search",
    "model/component.yaml": "fairlead.model.component:model",
    "bundle/component.yaml": "fairlead.bundle.component:bundle",
}
"""Compiled file (below ``components/fairlead``) to component function."""


def compile_flow(name: str, image: str | None = None) -> str:
    """The flow as YAML, with *image* for every task if it is given."""
    return _with_image(_compile(_load(FLOWS[name])), image)


def compile_component(path: str) -> str:
    """The component as YAML, to be used in somebody else's pipeline."""
    return _compile(_load(COMPONENTS[path]))


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _compile(function: Any) -> str:
    from kfp.compiler import Compiler

    with tempfile.TemporaryDirectory(prefix="fairlead-") as folder:
        file = Path(folder) / "compiled.yaml"
        Compiler().compile(function, str(file))
        return file.read_text(encoding="utf-8")


def _with_image(text: str, image: str | None) -> str:
    from fairlead.image import PIPELINE_IMAGE

    return text.replace(f"image: {PIPELINE_IMAGE}\n", f"image: {image}\n") if image else text
