"""What a page is made of. All text is plain text: the page escapes it, and no block takes markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Tone = Literal["good", "bad", "warn", "info", "plain"]
"""What a colour says: passed, failed, look here, for information, nothing in particular."""
Align = Literal["auto", "left", "right", "center"]


# -------------------------------------------------------------------------------------------- cells of tables


@dataclass(frozen=True, slots=True)
class Badge:
    """A word on a coloured ground, for outcomes. The word says it too: colour is never the only sign."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Code:
    """A name, a path or a digest, set in a fixed-width font."""

    text: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of neighbouring bins, drawn as little bars."""

    counts: Sequence[float]
    alt: str = ""
    """What the picture shows, for those who cannot see it: ``from 0 to 93``."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure and the interval around it, if one is known."""

    value: float | None
    low: float | None = None
    high: float | None = None


Cell = str | int | float | bool | Badge | Code | Histogram | Measured | None
"""Numbers are written by :func:`fairlead.report.number`, None as a dash, a text as it is."""


# -------------------------------------------------------------------------------------------- blocks


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column."""

    name: str
    align: Align = "auto"
    """``auto``: right if every cell that is not empty is a number, else left."""
    says: str = ""
    """Shown when the pointer rests on the head."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns. Every row has one cell a column.

    >>> Table(("metric", "value", "outcome"), [("roc_auc", 0.91, Badge("passed", "good"))]).alignments
    ('left', 'right', 'left')
    """

    columns: Sequence[str | Column]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    empty: str = "Nothing to show."
    """What stands in the table's place when it has no rows."""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                message = f"a row has {len(row)} cells, the table {len(self.columns)} columns: {row!r}"
                raise ValueError(message)

    @property
    def heads(self) -> tuple[Column, ...]:
        """All heads as :class:`Column`."""
        return tuple(Column(column) if isinstance(column, str) else column for column in self.columns)

    @property
    def alignments(self) -> tuple[str, ...]:
        """``left``, ``right`` or ``center`` a column."""
        return tuple(self._alignment(position, head) for position, head in enumerate(self.heads))

    def _alignment(self, position: int, head: Column) -> str:
        if head.align != "auto":
            return head.align
        filled = [row[position] for row in self.rows if row[position] not in (None, "")]
        return "right" if filled and all(_is_number(cell) for cell in filled) else "left"


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float | Measured) and not isinstance(cell, bool)


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture. Two stand side by side, unless ``wide``."""

    image: str | bytes
    """SVG text or PNG bytes."""
    caption: str
    """What to read from it, in a sentence."""
    alt: str
    """What it shows, for those who cannot see it."""
    name: str = "figure"
    """Stem of the file it is logged as."""
    wide: bool = False

    @property
    def mime(self) -> str:
        """Media type of the image, told by its first bytes."""
        return "image/png" if self.data.startswith(b"\x89PNG") else "image/svg+xml"

    @property
    def data(self) -> bytes:
        """The image as bytes."""
        return self.image.encode() if isinstance(self.image, str) else self.image

    @property
    def filename(self) -> str:
        """``name`` with the suffix that fits the image."""
        return f"{self.name}.{'png' if self.mime == 'image/png' else 'svg'}"


@dataclass(frozen=True, slots=True)
class Facts:
    """A few figures that matter, as cards: label to value."""

    items: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph. A blank line starts the next one."""

    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """A remark or a verdict that must not be missed."""

    text: str
    tone: Tone = "info"
    title: str = ""


Block = Table | Figure | Facts | Text | Note


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page under its own heading, reachable from the list at the top."""

    title: str
    intro: str = ""
    """One or two sentences: what this part answers."""
    blocks: Sequence[Block] = ()
    beside: bool = False
    """Figures stand to the right of the other blocks, instead of below them."""
