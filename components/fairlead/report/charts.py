"""One style for all pictures: restrained, deterministic, legible without colour vision and in the dark.

Drawn with ``matplotlib.figure.Figure`` and its canvases, never with pyplot: nothing global changes, nothing
leaks, and any thread may draw. Text stays text in the SVG, so pictures are small and can be searched.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter

from fairlead.report.numbers import number

BLUE, ORANGE, GREEN, PINK, SKY, YELLOW = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"
PALETTE = (BLUE, ORANGE, GREEN, PINK, SKY, YELLOW)
"""Okabe and Ito's colours (https://jfly.uni-koeln.de/color/), distinct with every kind of colour vision."""
INK, SOFT, GRID = "#1f2430", "#5b6472", "#dfe3e8"
_IN_THE_DARK = {INK: "#e4e8ee", SOFT: "#9aa4b2", GRID: "#333a45", BLUE: "#4aa8e0"}
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif"

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.prop_cycle": cycler(color=PALETTE),
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "fairlead",
}


def canvas(width: float = 5.2, height: float = 3.4, rows: int = 1, columns: int = 1) -> tuple[Canvas, Any]:
    """A styled figure and its axes (an array of them if there is more than one).

    Args:
        width: Inches; 5.2 is half a page.
        height: Inches.
        rows: Rows of axes.
        columns: Columns of axes.
    """
    with mpl.rc_context(_STYLE):
        figure = Canvas(figsize=(width, height), facecolor="none", layout="constrained")
        return figure, figure.subplots(rows, columns)


def legend(axes: Any, **options: Any) -> None:
    """A legend in the common style."""
    with mpl.rc_context(_STYLE):
        axes.legend(**options)


def label(axes: Any, x: str, y: str, title: str = "") -> None:
    """Name both axes."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if title:
        axes.set_title(title, loc="left", fontsize=9.5, color=INK)


def bars(
    axes: Any, names: Sequence[str], values: Sequence[float], errors: Sequence[float] | None = None
) -> None:
    """Horizontal bars, the first on top."""
    places = range(len(names))
    whiskers = {"ecolor": SOFT, "elinewidth": 1}
    axes.barh(places, values, color=BLUE, height=0.62, xerr=errors, error_kw=whiskers)
    axes.set_yticks(places, [shorten(name) for name in names])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color=SOFT, linewidth=0.8)


def plain_numbers(axis: Any) -> None:
    """Tick labels as :func:`fairlead.report.number` writes them: thousands apart, no exponent."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(float(value), 6)))


def shorten(text: str, most: int = 26) -> str:
    """*text*, or its beginning if it is long.

    >>> shorten("distance_from_the_last_terminal_used", 12)
    'distance_fr…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def to_svg(figure: Canvas) -> str:
    """The figure as SVG text: no date, fixed identifiers, light on dark where the reader prefers that."""
    target = io.StringIO()
    with mpl.rc_context(_STYLE):
        FigureCanvasSVG(figure).print_svg(target, metadata={"Date": None, "Creator": None})
    text = target.getvalue()
    text = text[text.index("<svg") :].replace("'DejaVu Sans'", _FONTS)
    return re.sub(r"(<svg[^>]*>)", lambda head: head[1] + _dark_style(), text, count=1)


def to_png(figure: Canvas, dpi: int = 120) -> bytes:
    """The figure as PNG on white, for places that show no SVG."""
    target = io.BytesIO()
    with mpl.rc_context(_STYLE):
        FigureCanvasAgg(figure)
        figure.savefig(target, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return target.getvalue()


def _dark_style() -> str:
    rules = "".join(
        f'[style*="{part}: {colour}"]{{{part}:{dark} !important}}'
        for colour, dark in _IN_THE_DARK.items()
        for part in ("fill", "stroke")
    )
    return f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
