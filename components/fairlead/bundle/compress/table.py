"""What was measured and decided: the record of it, and the table of size, time, metric and value for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fairlead.bundle.compress.choose import Decision
from fairlead.bundle.compress.measure import Speed
from fairlead.records import GateResult
from fairlead.report import Badge, Block, Cell, Column, Figure, Note, Section, Table, Tone
from fairlead.report.charts import BLUE, GREEN, INK, ORANGE, SOFT, canvas, label, plain_numbers, to_svg
from fairlead.report.numbers import DASH, number
from fairlead.spec.compress import VALUE
from fairlead.stats.intervals import Interval

ORIGINAL = "as trained"
"""How the uncompressed model is called in the table."""


@dataclass(frozen=True, slots=True)
class Line:
    """One model of the table."""

    name: str
    method: str
    says: str
    format: str
    bytes: int
    speed: Speed
    figures: Mapping[str, float]
    differences: Mapping[str, Interval] = field(default_factory=dict)
    """Paired 95 % intervals of *variant minus as trained*."""
    decided_otherwise: int = 0
    threshold: float | None = None
    gates: Sequence[GateResult] = ()
    refused: str = ""
    """Why it may not be served."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A whole look for something smaller."""

    rule: str
    metrics: tuple[str, ...]
    """Shown: the objective, and money where the project states it."""
    currency: str
    rows: int
    """Test rows."""
    seconds: float
    """What it all took."""
    lines: Sequence[Line]
    """As trained first."""
    nothing: Mapping[str, str]
    """Method or variant to why there is nothing to measure."""
    decision: Decision


def record_of(tried: Tried) -> dict[str, Any]:
    """Plain JSON of it."""
    return asdict(tried)


def tried_of(record: Mapping[str, Any]) -> Tried:
    """The inverse of :func:`record_of`."""
    lines = [_line_of(line) for line in record["lines"]]
    changed = {
        "lines": lines,
        "metrics": tuple(record["metrics"]),
        "decision": Decision(**record["decision"]),
    }
    return Tried(**{**record, **changed})


def _line_of(record: Mapping[str, Any]) -> Line:
    differences = {name: Interval(**ends) for name, ends in record["differences"].items()}
    gates = [GateResult(**gate) for gate in record["gates"]]
    return Line(**{**record, "speed": Speed(**record["speed"]), "differences": differences, "gates": gates})


def text_table(tried: Tried) -> str:
    """The table for a terminal.

    The columns are the model, its format, its kilobytes, microseconds for one row and for a hundred, and a figure a metric
    with the interval of its difference to the model as trained.
    """
    head = ["model", "format", "kB", "µs/1 row", "µs/100 rows", *tried.metrics, "note"]
    rows = [head] + [_text_row(tried, line) for line in tried.lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if place in (0, 1, len(head) - 1) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    lines += [f"{name}: {why}" for name, why in tried.nothing.items()]
    return "\n".join([*lines, verdict_of(tried)])


def _text_row(tried: Tried, line: Line) -> list[str]:
    figures = [_figure_text(line, metric) for metric in tried.metrics]
    return [line.name, line.format, number(line.bytes / 1000, 3), number(line.speed.one_row * 1e6, 3),
            number(line.speed.hundred_rows * 1e6, 3), *figures, _note(tried, line)]  # fmt: skip


def _figure_text(line: Line, metric: str) -> str:
    if metric not in line.figures:
        return DASH
    ends = line.differences.get(metric)
    return number(line.figures[metric]) + (f" ({_signed(ends.low)} to {_signed(ends.high)})" if ends else "")


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{number(value, 2)}"


def _note(tried: Tried, line: Line) -> str:
    if line.refused:
        return line.refused
    if line.name == (tried.decision.chosen or ORIGINAL):
        return "served"
    return f"{line.decided_otherwise} decided otherwise" if line.decided_otherwise else ""


def verdict_of(tried: Tried) -> str:
    """The decision in a sentence.

    >>> verdict_of(Tried("none", (), "", 9, 0.1, [], {}, Decision("kept as it is", None, "the rule is to measure only")))
    'kept as it is: the rule is to measure only (rule: none)'
    """
    return f"{tried.decision.outcome}: {tried.decision.reason} (rule: {tried.rule})"


# -------------------------------------------------------------------------------------------------------- page

_TONE: dict[str, Tone] = {"compressed": "good", "kept as it is": "info", "unknown": "warn"}


def section(tried: Tried) -> Section:
    """The part of the bundle's page."""
    intro = (
        f"Variants of the trained model, each exported and proved like it, timed in the serving back end, and judged on "
        f"{tried.rows:,} test rows. In brackets beside a figure stands its difference to the model as trained: the paired "
        f"95 % interval. The look took {number(tried.seconds, 3)} seconds."
    )
    verdict = Note(
        f"{tried.decision.reason}.", _TONE[tried.decision.outcome], f"{tried.rule}: {tried.decision.outcome}"
    )
    return Section(
        "Compression",
        intro,
        [verdict, _prices(tried), *_chart(tried), _what_was_done(tried), *_nothing(tried)],
    )


def _prices(tried: Tried) -> Table:
    """Size, time, metric and value."""
    figures = [Column(_head(metric, tried.currency), "right") for metric in tried.metrics]
    columns: tuple[str | Column, ...] = (
        "model",
        Column("kB", "right"),
        Column("µs", "right", "one row, in the serving back end"),
        Column("µs, 100 rows", "right", "a hundred rows in one call"),
        *figures,
        Column("otherwise", "right", "test rows for which callers are told another class"),
        "",
    )
    return Table(columns, [_price(tried, line) for line in tried.lines])


def _head(metric: str, currency: str) -> str:
    return f"{currency} per 1,000" if metric == VALUE else metric


def _price(tried: Tried, line: Line) -> list[Cell]:
    cost = (line.bytes / 1000, line.speed.one_row * 1e6, line.speed.hundred_rows * 1e6)
    figures = [_figure_text(line, metric) for metric in tried.metrics]
    return [
        line.name,
        *(number(one, 3) for one in cost),
        *figures,
        line.decided_otherwise,
        _standing(tried, line),
    ]


def _standing(tried: Tried, line: Line) -> Cell:
    if line.name == (tried.decision.chosen or ORIGINAL):
        return Badge("served", "good")
    return Badge("may not be served", "bad") if line.refused else ""


def _what_was_done(tried: Tried) -> Table:
    refused = any(line.refused for line in tried.lines)
    heads = ("model", "format", "what was done", *(["why it may not be served"] * refused))
    rows = [(line.name, line.format, line.says, *([line.refused] * refused)) for line in tried.lines[1:]]
    return Table(heads, rows)


def _nothing(tried: Tried) -> list[Block]:
    if not tried.nothing:
        return []
    return [Table(("not measured", "why"), list(tried.nothing.items()))]


def _chart(tried: Tried) -> list[Block]:
    """Size against the figure that the rule is about, if there is something to compare."""
    metric = tried.metrics[-1] if tried.metrics else ""
    points = [line for line in tried.lines if metric in line.figures]
    if len(points) < 2:
        return []
    figure, axes = canvas(6.4, 3.0)
    reference = points[0].figures[metric]
    axes.axhline(reference, color=SOFT, linewidth=0.8)
    for line in points:
        _point(axes, tried, line, metric, reference)
    axes.set_xlim(left=0)
    plain_numbers(axes.xaxis)
    label(axes, "kB", _head(metric, tried.currency))
    caption = "Smaller is left, better is up. Whiskers: the paired 95 % interval of the difference to the model as trained."
    alt = ", ".join(
        f"{line.name}: {number(line.bytes / 1000, 3)} kB, {number(line.figures[metric])}" for line in points
    )
    return [Figure(to_svg(figure), caption, alt, "compression", wide=True)]


def _point(axes: Any, tried: Tried, line: Line, metric: str, reference: float) -> None:
    served = line.name == (tried.decision.chosen or ORIGINAL)
    colour = ORANGE if line.refused else GREEN if served else BLUE
    size, value = line.bytes / 1000, line.figures[metric]
    if ends := line.differences.get(metric):
        axes.plot([size, size], [reference + ends.low, reference + ends.high], color=colour, linewidth=1)
    axes.plot([size], [value], "o", color=colour)
    axes.annotate(line.name, (size, value), xytext=(6, 4), textcoords="offset points", fontsize=8, color=INK)
