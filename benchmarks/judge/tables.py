"""What is printed: tables as Markdown, and bars that hold or are missed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fairlead.stats.intervals import wilson


def percent(hits: NDArray[np.bool_]) -> str:
    """A share of rollouts."""
    return f"{100 * float(np.mean(hits)):.1f}"


def found(looks: NDArray[np.float64]) -> str:
    """How many alarmed, and the median look of all; a dash if that is never."""
    middle = float(np.median(looks))
    return f"{100 * float(np.isfinite(looks).mean()):.1f} ({'–' if np.isinf(middle) else f'{middle:.0f}'})"


@dataclass
class Bar:
    """A promise, and whether it holds."""

    says: str
    measured: str
    bound: str
    holds: bool


@dataclass
class Report:
    """All that was measured, as text."""

    lines: list[str] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)

    def title(self, text: str, *paragraphs: str) -> None:
        self.lines += ["", f"## {text}", "", *(line for part in paragraphs for line in (part, ""))]

    def say(self, text: str) -> None:
        self.lines += [text, ""]

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        self.lines += [_row(columns), _row(["---"] * len(columns)), *map(_row, rows), ""]

    def at_most(self, says: str, hits: NDArray[np.bool_], bound: float) -> None:
        """A chance that may be *bound*: missed if the 95 % interval of what was measured is above it."""
        count, rollouts = int(np.sum(hits)), len(hits)
        interval = wilson(count, rollouts)
        shown = f"{100 * count / rollouts:.1f} % ({100 * interval.low:.1f} to {100 * interval.high:.1f})"
        self.bars.append(Bar(says, shown, f"<= {100 * bound:g} %", interval.low <= bound))

    def at_least(self, says: str, hits: NDArray[np.bool_], bound: float) -> None:
        share = float(np.mean(hits))
        self.bars.append(Bar(says, f"{100 * share:.1f} %", f">= {100 * bound:g} %", share >= bound))

    def below(self, says: str, value: float, bound: float, unit: str) -> None:
        self.bars.append(Bar(says, f"{value:.2f} {unit}", f"<= {bound:g} {unit}", value <= bound))

    def finish(self) -> None:
        self.title("Bars")
        self.table(
            ("promise", "measured (95 % interval)", "bar", ""),
            [(bar.says, bar.measured, bar.bound, "holds" if bar.holds else "MISSED") for bar in self.bars],
        )

    @property
    def text(self) -> str:
        return "\n".join(self.lines).strip() + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
