"""What is wrong in a YAML file: pydantic's errors, located by line and column, in words that fit a file.

PyYAML's node tree is kept beside the values, so that a location (``model``, ``gates``, 0) can be turned into
a place in the text, and the message can show what stands there as it was written.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic_core import ErrorDetails

from fairlead.nearest import nearest
from fairlead.spec.base import Misfits


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


@dataclass(frozen=True, slots=True)
class Page:
    """A file as it was written, to say where a mistake is and what stands there."""

    text: str
    root: yaml.Node | None
    model: type[BaseModel]

    def mistakes(self, details: Sequence[ErrorDetails]) -> list[Mistake]:
        """Pydantic's errors, located and in words."""
        places = [detail["loc"] for detail in details]
        return [
            mistake
            for detail in details
            # A list whose entries are all wrong counts as too short; only the entries are worth telling.
            if detail["type"] != "too_short" or not any(_is_inside(place, detail["loc"]) for place in places)
            for mistake in self._mistakes_of(detail)
        ]

    def _mistakes_of(self, detail: ErrorDetails) -> Iterator[Mistake]:
        error = detail.get("ctx", {}).get("error")
        if isinstance(error, Misfits):
            for location, rule in error.found:
                yield self._mistake(location, rule)
            return
        rule, advice = _in_words(detail, self.model)
        kind = detail["type"]
        yield self._mistake(
            detail["loc"],
            rule,
            advice,
            at_key=kind == "extra_forbidden",
            show=kind not in _VALUE_SAYS_NOTHING,
        )

    def _mistake(
        self,
        location: Sequence[int | str],
        rule: str,
        advice: str = "",
        *,
        at_key: bool = False,
        show: bool = True,
    ) -> Mistake:
        node, path = _locate(self.root, location, want_key=at_key)
        if node is None:
            return Mistake(1, 1, path, "", rule, advice)
        mark = node.start_mark
        is_block = isinstance(node, yaml.CollectionNode) and not node.flow_style
        shown = self._written(node) if show and not is_block else ""
        return Mistake(mark.line + 1, mark.column + 1, path, shown, rule, advice)

    def _written(self, node: yaml.Node) -> str:
        """What stands there; of several lines the first."""
        written = self.text[node.start_mark.index : node.end_mark.index].rstrip()
        first, *more = written.splitlines() or [""]
        return shortened(f"{first} …" if more else first)


_VALUE_SAYS_NOTHING = ("missing", "extra_forbidden", "invalid_key")


def _is_inside(place: Sequence[int | str], outer: Sequence[int | str]) -> bool:
    return len(place) > len(outer) and tuple(place[: len(outer)]) == tuple(outer)


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


_SAID = {
    "missing": "this key is required",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "union_tag_not_found": "the key 'kind' is required here",
    "invalid_key": "a key must be text",
}
"""Pydantic's kinds of error in words that fit a file."""


def _in_words(detail: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    """The rule that was broken and, where there is one, the way out."""
    context = detail.get("ctx", {})
    kind, message = detail["type"], detail["msg"]
    if kind == "extra_forbidden":
        names = _sibling_names(model, detail["loc"][:-1])
        return "there is no such key", _did_you_mean(str(detail["loc"][-1]), names)
    if kind in ("literal_error", "union_tag_invalid"):
        return _allowed_words(kind, context, detail["input"])
    if kind in ("string_type", "invalid_key"):
        unquoted = isinstance(detail["input"], (bool, int, float, date))
        return _SAID[kind], "put it in quotes" if unquoted else ""
    return _SAID.get(kind) or _said_of(kind, context, message), ""


def _said_of(kind: str, context: Mapping[str, Any], message: str) -> str:
    """The rule in words, for errors whose words depend on the bound that was missed."""
    match kind:
        case "string_pattern_mismatch":
            return f"must match {context['pattern']}"
        case "too_short":
            return f"must not have fewer entries than {context['min_length']}"
        case "too_long":
            return f"must not have more entries than {context['max_length']}"
        case "value_error":
            return str(context["error"])
    return message.replace("Input should be", "must be").replace("String should have", "must have")


def _allowed_words(kind: str, context: Mapping[str, Any], given: Any) -> tuple[str, str]:
    """The rule and the advice for one of a few words."""
    listed, what = (
        (context.get("expected"), "") if kind == "literal_error" else (context.get("expected_tags"), "kind ")
    )
    allowed = [part.strip("' ") for part in str(listed).replace(" or ", ", ").split(",")]
    if len(allowed) == 1:
        return f"{what}must be {allowed[0]}", ""
    wrong = str(context.get("tag", given))
    return f"{what}must be one of {', '.join(allowed)}", _did_you_mean(wrong, allowed, listed=True)


def _did_you_mean(wrong: str, names: Sequence[str], *, listed: bool = False) -> str:
    """The nearest name; if none is near, all of them, unless the rule has *listed* them."""
    found = nearest(wrong, names)
    if found is not None:
        return f"did you mean {found!r}?"
    return f"known: {', '.join(names)}" if names and not listed else ""


def _sibling_names(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Names of the fields of the model at *location*."""
    models: list[type[BaseModel]] = [model]
    for step in location:
        found = [inner for outer in models if (field := outer.model_fields.get(str(step))) is not None
                 for inner in _models_in(field.annotation)]  # fmt: skip
        # A step that is no field is a position, or the tag of a union's member.
        models = found or [member for member in models if step in _tags(member)] or models
    return sorted({name for candidate in models for name in candidate.model_fields})


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    """What may stand in a location for *model*: its name, or the value of its ``kind``."""
    kind = model.model_fields.get("kind")
    return (model.__name__, *(get_args(kind.annotation) if kind else ()))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, types.UnionType, tuple, list, dict) or get_args(annotation):
        return [model for argument in get_args(annotation) for model in _models_in(argument)]
    return []


def shortened(text: str, limit: int = 60) -> str:
    """*text*, cut at *limit* characters."""
    return text if len(text) <= limit else f"{text[:limit]}…"
