"""YAML text to typed models, with errors that point at the line.

PyYAML's node tree is kept beside the values, so that a pydantic error's location can be turned into line and column.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fairlead.errors import ProjectError
from fairlead.spec.contract import Contract
from fairlead.spec.project import Project

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a YAML file. ``line`` and ``column`` count from 1."""

    line: int
    column: int
    path: str
    value: str
    rule: str
    advice: str = ""

    def __str__(self) -> str:
        value = f" = {self.value}" if self.value else ""
        advice = f" ({self.advice})" if self.advice else ""
        return f"line {self.line}, column {self.column}: {self.path or 'file'}{value}: {self.rule}{advice}"


def load_project(path: Path) -> Project:
    """Read and check a project file.

    Raises:
        ProjectError: The file is missing, is not YAML, or breaks the model; every mistake is listed with its line.
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
        hint = "Start with `fairlead init`." if what == "project file" else "Write a first one: `fairlead data infer`."
        raise ProjectError(f"no {what} at {path}", hint=hint) from cause
    except (OSError, UnicodeDecodeError) as cause:
        raise ProjectError(f"cannot read the {what} {path}: {cause}") from cause


def _parse(text: str, model: type[M], name: str) -> M:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        repeated = list(_repeated_keys(root)) if root else []
        values = yaml.safe_load(text) if not repeated else None
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark or cause.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ProjectError(f"{name}: not valid YAML: {where}{cause.problem or cause.context}") from cause
    except yaml.YAMLError as cause:
        raise ProjectError(f"{name}: not valid YAML: {cause}") from cause
    if repeated:
        raise _error(name, repeated)
    if not isinstance(values, dict):
        raise ProjectError(f"{name}: must be a mapping of keys to values, but is {_shown(values)}")
    try:
        return model.model_validate(values)
    except ValidationError as cause:
        mistakes = [_mistake(detail, root, model) for detail in cause.errors(include_url=False)]
        raise _error(name, mistakes) from cause


def _error(name: str, mistakes: Sequence[Mistake]) -> ProjectError:
    in_order = sorted(mistakes, key=lambda mistake: (mistake.line, mistake.column))
    count = f"{len(in_order)} mistakes" if len(in_order) > 1 else "1 mistake"
    return ProjectError(f"{name}: {count}\n" + "\n".join(f"  {mistake}" for mistake in in_order))


def _repeated_keys(node: yaml.Node, path: str = "") -> Iterator[Mistake]:
    """YAML lets a later key silently win; we do not."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            here = f"{path}.{key.value}" if path else str(key.value)
            if key.value in seen:
                yield Mistake(key.start_mark.line + 1, key.start_mark.column + 1, here, "", "this key is given twice")
            seen.add(key.value)
            yield from _repeated_keys(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated_keys(item, f"{path}.{index}")


def _mistake(detail: ErrorDetails, root: yaml.Node | None, model: type[BaseModel]) -> Mistake:
    node, path = _locate(root, detail["loc"], want_key=detail["type"] == "extra_forbidden")
    mark = node.start_mark if node is not None else None
    rule, advice = _in_words(detail, model)
    shown = "" if detail["type"] in ("missing", "extra_forbidden") else _shown(detail["input"])
    return Mistake((mark.line if mark else 0) + 1, (mark.column if mark else 0) + 1, path, shown, rule, advice)


def _locate(
    node: yaml.Node | None, location: Sequence[int | str], *, want_key: bool
) -> tuple[yaml.Node | None, str]:
    """The YAML node a pydantic location names, or its nearest ancestor, and the location as a dotted path.

    Pydantic's location holds the names of union members too; those have no node and are passed over.
    """
    path: list[str] = []
    for step_number, step in enumerate(location):
        last = step_number == len(location) - 1
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if key.value == str(step)), None)
            if pair is not None:
                node = pair[0] if last and want_key else pair[1]
                path.append(str(step))
            elif last:
                path.append(str(step))
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            path.append(str(step))
    return node, ".".join(path)


def _in_words(detail: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    """The rule that was broken and, where there is one, the nearest valid name."""
    context = detail.get("ctx", {})
    wrong = str(detail["loc"][-1]) if detail["loc"] else ""
    match detail["type"]:
        case "extra_forbidden":
            return "there is no such key", _did_you_mean(wrong, _sibling_names(model, detail["loc"][:-1]))
        case "missing":
            return "this key is required", ""
        case "literal_error":
            allowed = [part.strip("' ") for part in str(context.get("expected", "")).replace(" or ", ", ").split(",")]
            rule = f"must be one of {', '.join(allowed)}" if len(allowed) > 1 else f"must be {allowed[0]}"
            return rule, _did_you_mean(str(detail["input"]), allowed)
        case "union_tag_invalid":
            allowed = [part.strip("' ") for part in str(context.get("expected_tags", "")).split(",")]
            return f"kind must be one of {', '.join(allowed)}", _did_you_mean(str(context.get("tag", "")), allowed)
        case "union_tag_not_found":
            return "the key 'kind' is required here", ""
        case "string_pattern_mismatch":
            return f"must match {context.get('pattern')}", ""
        case "value_error":
            return str(context.get("error", detail["msg"])), ""
        case _:
            return detail["msg"][:1].lower() + detail["msg"][1:], ""


def _did_you_mean(wrong: str, names: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(wrong, names, n=1, cutoff=0.6)
    if nearest:
        return f"did you mean {nearest[0]!r}?"
    return f"known: {', '.join(names)}" if names and len(names) <= 20 else ""


def _sibling_names(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Names of the fields at *location*; of all members where a union leaves it open."""
    models: list[type[BaseModel]] = [model]
    for step in location:
        found = [inner for outer in models if (field := outer.model_fields.get(str(step))) is not None
                 for inner in _models_in(field.annotation)]  # fmt: skip
        models = found or models
    return sorted({name for candidate in models for name in candidate.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, types.UnionType, tuple, list, dict) or get_args(annotation):
        return [model for argument in get_args(annotation) for model in _models_in(argument)]
    return []


def _shown(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
