"""Flows and components as the YAML that is committed beside them."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

from fairlead.spec.run import Run

FLOWS = {"training": "fairlead.flows.training:training_flow"}
"""Name to the function that draws the graph; ``NAME.yaml`` stands beside this file."""

COMPONENTS = {
    "data/component.yaml": "fairlead.data.component:data",
    "model/search.yaml": "fairlead.model.component:search",
    "model/component.yaml": "fairlead.model.component:model",
    "bundle/component.yaml": "fairlead.bundle.component:bundle",
}
"""Compiled file (below ``components/fairlead``) to component function."""


def compile_flow(name: str, image: str | None = None, run: Run | None = None) -> str:
    """The flow as YAML.

    Args:
        name: One of :data:`FLOWS`.
        image: Image of every task. Default: what *run* says, else fairlead's own of this version.
        run: The section ``run`` of a project file. Default: its defaults.
    """
    from fairlead.flows.settings import apply

    settled = (run or Run()).model_copy(update={"image": image} if image else {})
    flow = _load(FLOWS[name])(lambda task, task_name: apply(task, task_name, settled))
    return _compile(flow)


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
