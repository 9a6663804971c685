"""A chart's values, from their models: values.yaml with comments, values.schema.json, and the table in the README.

The models are the one source. What they cannot say (one value against another) is in the chart's templates/requirements.yaml.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from tools.charts.common import ChartValues, Values

WIDTH = 110
_TABLE = re.compile(r"(<!-- values:begin -->\n).*(<!-- values:end -->)", re.DOTALL)


def values_yaml(values: type[Values], title: str) -> str:
    """The defaults as YAML, each under its documentation."""
    head = f"{title}\n\nGenerated from tools/charts by `make generate`: do not edit."
    return _comment(head, 0) + "\n\n" + "\n".join(_yaml_lines(values(), 0)) + "\n"


def schema_json(values: type[Values]) -> str:
    """The JSON schema Helm checks values with: no key that is not in the models."""
    schema = _tidy(values.model_json_schema(by_alias=True))
    # Helm hands `global` to a chart that is a dependency of another one; nothing here reads it.
    schema["properties"]["global"] = {"type": "object", "description": "Not read."}
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def readme(present: str, values: type[Values]) -> str:
    """The README *present* with the table of all values between its two markers.

    Raises:
        ValueError: The markers are missing.
    """
    if not _TABLE.search(present):
        raise ValueError("the README needs the lines <!-- values:begin --> and <!-- values:end -->")
    rows = "".join(f"| `{key}` | {default} | {says} |\n" for key, default, says in _rows(values(), ""))
    table = f"| key | default | meaning |\n| --- | --- | --- |\n{rows}"
    return _TABLE.sub(lambda found: f"{found[1]}{table}{found[2]}", present)


def leaf_keys(values: Values, prefix: str = "") -> list[str]:
    """Every key that is set directly, dotted.

    >>> from tools.charts.common import Trust
    >>> leaf_keys(Trust())
    ['configMap', 'key']
    """
    return [key for key, _, _ in _rows(values, prefix)]


def _fields(values: Values) -> list[tuple[str, FieldInfo]]:
    """The fields in the order people read them: at the top of a chart its own come before those of all charts."""
    shared = ChartValues.model_fields if isinstance(values, ChartValues) else {}
    return sorted(type(values).model_fields.items(), key=lambda item: item[0] in shared)


# ------------------------------------------------------------------------------------------------- YAML


def _yaml_lines(values: Values, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for position, (name, field) in enumerate(_fields(values)):
        value = getattr(values, name)
        if depth == 0 and position:
            yield ""
        yield _comment(_says(field, value), depth)
        if isinstance(value, Values):
            yield f"{indent}{field.alias}:"
            yield from _yaml_lines(value, depth + 1)
        else:
            yield textwrap.indent(_entry(str(field.alias), _plain(value)), indent)


def _entry(key: str, value: Any) -> str:
    """One key with its default, as YAML."""
    return yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, width=1000).rstrip()


def _comment(text: str, depth: int) -> str:
    start = "  " * depth + "# "
    lines = (
        textwrap.fill(line, WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False,
                      break_long_words=False)
        for line in text.split("\n")
    )  # fmt: skip
    return "\n".join(line or start.rstrip() for line in lines)


# --------------------------------------------------------------------------------------------- the table


def _rows(values: Values, prefix: str) -> Iterator[tuple[str, str, str]]:
    """Key, default and meaning of every value that is not a group of values."""
    for name, field in _fields(values):
        value, key = getattr(values, name), f"{prefix}{field.alias}"
        if isinstance(value, Values):
            yield from _rows(value, f"{key}.")
        else:
            shown = json.dumps(_plain(value), ensure_ascii=False).replace("|", "\\|")
            yield key, f"`{shown}`", _says(field, value).replace("|", "\\|").replace("\n", " ")


def _plain(value: Any) -> Any:
    """*value* as JSON would have it; what is empty or default in a nested list is left out of it."""
    if isinstance(value, Values):
        return value.model_dump(by_alias=True, exclude_defaults=True)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _says(field: FieldInfo, value: Any) -> str:
    """The documentation of a field on one line, with the values it may have. A group without one says what its model says."""
    text = field.description or (cleandoc(type(value).__doc__ or "") if isinstance(value, Values) else "")
    text = " ".join(text.split())
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    return f"{text} One of {', '.join(map(str, choices))}." if choices else text


# ----------------------------------------------------------------------------------------------- schema


def _tidy(schema: Any) -> Any:
    """*schema* without generated titles, without the defaults of whole groups, and with prose on one line."""
    if isinstance(schema, list):
        return [_tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: part
        for key, part in schema.items()
        if not (key == "title" and isinstance(part, str)) and not (key == "default" and "$ref" in schema)
    }
    if isinstance(kept.get("description"), str):
        kept["description"] = " ".join(kept["description"].split())
    return {key: _tidy(part) for key, part in kept.items()}
