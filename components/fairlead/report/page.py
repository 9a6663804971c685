"""Blocks to one HTML file."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from fairlead.report.blocks import Badge, Block, Cell, Code, Figure, Histogram, Measured, Section
from fairlead.report.histogram import little_histogram
from fairlead.report.numbers import number


def page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """One self-contained page: no script, no font, no image and no style from anywhere else.

    The same arguments give the same bytes. All text is escaped.
    """
    return _template().render(title=title, subtitle=subtitle, sections=_anchored(sections))


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("fairlead.report", package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = cell
    environment.filters["data_uri"] = data_uri
    environment.filters["kind"] = kind
    return environment.get_template("page.html.jinja")


def _anchored(sections: Sequence[Section]) -> list[tuple[str, Section]]:
    """Each section with an identifier made of its title, unique on the page."""
    used: dict[str, int] = {}
    anchored = []
    for section in sections:
        stem = re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-") or "section"
        used[stem] = used.get(stem, 0) + 1
        anchored.append((stem if used[stem] == 1 else f"{stem}-{used[stem]}", section))
    return anchored


def kind(block: Block) -> str:
    """Name of a block's class, by which the template chooses."""
    return type(block).__name__


def data_uri(figure: Figure) -> str:
    """The picture, inside the page. As an image of its own: names inside two pictures cannot collide."""
    return f"data:{figure.mime};base64,{base64.b64encode(figure.data).decode()}"


def cell(value: Cell) -> Markup:
    """One cell as escaped markup.

    >>> str(cell("<b>")), str(cell(0.5)), str(cell(True)), str(cell(Badge("passed", "good")))
    ('&lt;b&gt;', '0.5', 'yes', '<span class="badge good">passed</span>')
    """
    match value:
        case Badge():
            return Markup('<span class="badge {}">{}</span>').format(value.tone, value.text)
        case Code():
            return Markup("<code>{}</code>").format(value.text)
        case Histogram():
            return Markup(little_histogram(value.counts, value.alt))  # noqa: S704 - numbers, an escaped label
        case Measured():
            return _measured(value)
        case _:
            return escape(_plain(value))


def _plain(value: str | float | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else number(value)


def _measured(value: Measured) -> Markup:
    if value.low is None or value.high is None:
        return escape(number(value.value))
    return Markup('{} <span class="interval">{} to {}</span>').format(
        number(value.value), number(value.low), number(value.high)
    )
