"""A histogram small enough for a cell of a table, written as SVG by hand."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 120, 24


def little_histogram(counts: Sequence[float], alt: str = "") -> str:
    """Bars as inline SVG in the colour of the surrounding text. A count above zero is never invisible.

    Args:
        counts: Counts of neighbouring bins, at least 0.
        alt: What it shows, for those who cannot see it.

    >>> little_histogram([1, 0, 2]).count("<rect")
    2
    """
    top = max(counts, default=0) or 1
    step = WIDTH / max(len(counts), 1)
    gap = 1 if step >= 3 else 0
    bars = "".join(
        _bar(position * step, step - gap, max(1.0, HEIGHT * count / top))
        for position, count in enumerate(counts)
        if count > 0
    )
    label = f' role="img" aria-label="{escape(alt)}"' if alt else ' aria-hidden="true"'
    return (
        f'<svg class="histogram" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'preserveAspectRatio="none"{label}>{bars}</svg>'
    )


def _bar(x: float, width: float, height: float) -> str:
    y = HEIGHT - height
    return f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" fill="currentColor"/>'
