"""Pages for people: one self-contained HTML file from a few kinds of blocks.

In: frozen blocks (:class:`Table`, :class:`Figure`, :class:`Facts`, :class:`Text`, :class:`Note`) in
:class:`Section` records. Out: HTML text without scripts and without any reference to another host, readable
on a screen in light and in dark, and on paper. ``report.charts`` draws the pictures; it is not imported from
here, because matplotlib is slow to load.

Does not belong here: what a page is about. Stages decide that; this package imports none of them.
"""

from fairlead.report.blocks import (
    Badge,
    Block,
    Cell,
    Code,
    Column,
    Facts,
    Figure,
    Histogram,
    Measured,
    Note,
    Section,
    Table,
    Text,
    Tone,
)
from fairlead.report.histogram import little_histogram
from fairlead.report.numbers import number
from fairlead.report.page import page

__all__ = [
    "Badge",
    "Block",
    "Cell",
    "Code",
    "Column",
    "Facts",
    "Figure",
    "Histogram",
    "Measured",
    "Note",
    "Section",
    "Table",
    "Text",
    "Tone",
    "little_histogram",
    "number",
    "page",
]
