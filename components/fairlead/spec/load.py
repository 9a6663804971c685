"""YAML text to typed models, with errors that point at the line (:mod:`fairlead.spec.mistakes`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from fairlead.errors import ProjectError
from fairlead.spec.contract import Contract
from fairlead.spec.mistakes import Mistake, Page, shortened
from fairlead.spec.project import Project

M = TypeVar("M", bound=BaseModel)


def load_project(path: Path) -> Project:
    """Read and check a project file.

    Raises: ProjectError: The file is missing, is not YAML, or breaks the model; every mistake is listed with
        its line.
    """
    return parse_project(_read(path, "project file"), name=str(path))


def load_contract(path: Path) -> Contract:
    """Read and check a data contract; errors as in :func:`load_project`."""
    return parse_contract(_read(path, "data contract"), name=str(path))


def parse_project(text: str, *, name: str = "fairlead.yaml") -> Project:
    """As :func:`load_project`, from text; *name* is what messages call the file."""
    return _parse(text, Project, name)


def parse_contract(text: str, *, name: str = "contract.yaml") -> Contract:
    """As :func:`load_contract`, from text; *name* is what messages call the file."""
    return _parse(text, Contract, name)


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as cause:
        hint = (
            "Start with `fairlead init`."
            if what == "project file"
            else "Write a first one: `fairlead data infer`."
        )
        raise ProjectError(f"no {what} at {path}", hint=hint) from cause
    except (OSError, UnicodeDecodeError) as cause:
        raise ProjectError(f"cannot read the {what} {path}: {cause}") from cause


def _parse(text: str, model: type[M], name: str) -> M:
    root, values = _read_yaml(text, name)
    if not isinstance(values, dict):
        raise ProjectError(
            f"{name}: must be a mapping of keys to values, but is {shortened(text.strip()) or 'empty'}"
        )
    try:
        return model.model_validate(values)
    except ValidationError as cause:
        page = Page(text, root, model)
        raise _error(name, page.mistakes(cause.errors(include_url=False))) from cause


def _read_yaml(text: str, name: str) -> tuple[yaml.Node | None, Any]:
    """The node tree and the values of *text*."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if unusable := list(_unusable_keys(root)):
            raise _error(name, unusable)
        return root, yaml.safe_load(text)
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark or cause.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ProjectError(f"{name}: not valid YAML: {where}{cause.problem or cause.context}") from cause
    except (yaml.YAMLError, ValueError) as cause:  # ValueError: a date such as 2024-13-01
        raise ProjectError(f"{name}: not valid YAML: {' '.join(str(cause).split())}") from cause
    except RecursionError as cause:
        raise ProjectError(f"{name}: nested too deeply, or an alias holds itself") from cause


def _error(name: str, mistakes: Sequence[Mistake]) -> ProjectError:
    in_order = sorted(mistakes, key=lambda mistake: (mistake.line, mistake.column))
    count = f"{len(in_order)} mistakes" if len(in_order) > 1 else "1 mistake"
    return ProjectError(f"{name}: {count}\n" + "\n".join(f"  {mistake}" for mistake in in_order))


def _unusable_keys(node: yaml.Node | None, path: str = "") -> Iterator[Mistake]:
    """Keys given twice, of which YAML would silently take the last, and keys that are not text."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line, column = key.start_mark.line + 1, key.start_mark.column + 1
            if not isinstance(key, yaml.ScalarNode):
                yield Mistake(line, column, path, "", "a key must be plain text")
                continue
            here = f"{path}.{key.value}" if path else str(key.value)
            if key.value in seen:
                yield Mistake(line, column, here, "", "this key is given twice")
            seen.add(key.value)
            yield from _unusable_keys(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _unusable_keys(item, f"{path}.{index}")
