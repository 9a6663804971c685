"""``GET /``: one page with a form made from the schema, for a person who wants to ask the model something.

The page is one answer without other files: style, script and what it knows of the model are inside. Its addresses
are relative, because a model is served under a path of its host. It may do no more than ask its own server: its
headers say so to the browser (:mod:`fairlead.serve.guards.browser`).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from fairlead.serve.explain.reference import reference_row
from fairlead.serve.guards.browser import page_headers
from fairlead.serve.http import Answer, Handler
from fairlead.serve.loading import LoadedModel, example_columns

HTML = b"text/html; charset=utf-8"
_PLACE = re.compile(rb"\{\{([a-z]+)\}\}")


def handler_of(model: LoadedModel, *, paths: Iterable[str], secured: bool = False) -> Handler:
    """Answers ``GET /``. Arguments as those of :func:`render`."""
    page = render(model, paths=paths, secured=secured)
    answer = Answer(200, page, HTML, page_headers(page))
    return lambda _: answer


def render(model: LoadedModel, *, paths: Iterable[str], secured: bool = False) -> bytes:
    """The page.

    Args:
        model: What answers.
        paths: What this deployment has beside ``/predict``: buttons and links are shown for ``/explain``,
            ``/feedback``, ``/openapi.json``.
        secured: Callers need a credential, so the page asks for one. It is kept nowhere.
    """
    filled = {
        "title": html.escape(f"{model.name} {model.version}").encode(),
        "style": _part("page.css"),
        "model": _inside_script(_known(model, frozenset(paths), secured=secured)),
        "script": _part("page.js"),
    }
    # All places at once: what is filled in is not looked at for places again.
    return _PLACE.sub(lambda place: filled[place[1].decode()], _part("page.html"))


def _part(name: str) -> bytes:
    return Path(__file__).with_name(name).read_bytes()


def _known(model: LoadedModel, paths: frozenset[str], *, secured: bool) -> dict[str, Any]:
    """What the script needs to know."""
    schema = model.schema
    return {
        "name": model.name,
        "version": model.version,
        "format": model.format,
        "fields": [asdict(field) for field in schema.fields],
        "series": None if schema.series is None else asdict(schema.series),
        "output": asdict(schema.output),
        "example": example_row(model),
        "explain": "/explain" in paths and model.rules.explain,
        "feedback": "/feedback" in paths,
        "document": "/openapi.json" in paths,
        "secured": secured,
    }


def example_row(model: LoadedModel) -> dict[str, Any]:
    """What the form is filled with: the typical row, with a made-up text where it has none."""
    made_up = {name: values[0] for name, values in example_columns(model.schema).items()}
    typical = reference_row(model.schema, model.profile)
    return {name: made_up[name] if value == "" else value for name, value in typical.items()}


def _inside_script(content: Any) -> bytes:
    r"""JSON that cannot end the element it is in, nor open a comment there.

    >>> _inside_script({"name": "</script>"})
    b'{"name":"\\u003c/script>"}'
    """
    return orjson.dumps(content).replace(b"<", b"\\u003c")
