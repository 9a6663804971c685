"""From where a parameter's values come: a list of choices, or a range of numbers.

>>> draw({"C": dimension("C", {"low": 0.1, "high": 10.0, "log": True})}, np.random.default_rng(0))
{'C': 1.87898526615}
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairlead.errors import ProjectError

GRID_POINTS = 5
"""Points a grid takes of a range without a step."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of *values*, each as likely."""

    values: tuple[Any, ...]

    def draw(self, generator: np.random.Generator) -> Any:
        """One value."""
        return self.values[int(generator.integers(len(self.values)))]

    def grid(self) -> tuple[Any, ...]:
        """All values."""
        return self.values


@dataclass(frozen=True, slots=True)
class Range:
    """A number from *low* to *high*, both included; evenly in its logarithm if *log*, in multiples of *step* if given."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    def draw(self, generator: np.random.Generator) -> float | int:
        """One number."""
        if self.step is not None:
            return self._number(self.low + self.step * int(generator.integers(self._steps() + 1)))
        if self.whole and not self.log:
            return int(generator.integers(int(self.low), int(self.high) + 1))
        return self._number(self._at(float(generator.random())))

    def grid(self) -> tuple[float | int, ...]:
        """All steps, or :data:`GRID_POINTS` points from end to end.

        >>> Range(0.01, 100.0, log=True).grid()
        (0.01, 0.1, 1.0, 10.0, 100.0)
        >>> Range(1, 3, whole=True).grid()
        (1, 2, 3)
        """
        if self.step is not None:
            numbers = [self.low + self.step * position for position in range(self._steps() + 1)]
        else:
            numbers = [self._at(position / (GRID_POINTS - 1)) for position in range(GRID_POINTS)]
        return tuple(dict.fromkeys(self._number(number) for number in numbers))

    def _at(self, share: float) -> float:
        if self.log:
            return math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        return self.low + share * (self.high - self.low)

    def _steps(self) -> int:
        return int((self.high - self.low) / (self.step or 1) + 1e-9)

    def _number(self, number: float) -> float | int:
        # Twelve digits: exp(log(x)) and sums of steps must not leave a tail that tells nothing.
        inside = min(max(number, self.low), self.high)
        return round(inside) if self.whole else float(f"{inside:.12g}")


Dimension = Choice | Range
Space = Mapping[str, Dimension]


def dimension(name: str, raw: Sequence[Any] | Mapping[str, Any]) -> Dimension:
    """A dimension as the project file writes it: a list of choices or ``{low, high, log, step}``.

    The project file's own model has checked the ends; here is checked what depends on the step.

    Raises:
        ProjectError: The step is no number above 0, or stands beside ``log``.
    """
    if not isinstance(raw, Mapping):
        return Choice(tuple(raw))
    low, high, step, log = raw["low"], raw["high"], raw.get("step"), bool(raw.get("log", False))
    if step is not None and (isinstance(step, bool) or not isinstance(step, int | float) or step <= 0 or log):
        raise ProjectError(
            f"space of {name}: step = {step!r} must be a number above 0, and does not go with log",
            hint="Leave step out, or write a list of choices.",
        )
    whole = all(isinstance(number, int) for number in (low, high, step or 1))
    return Range(low, high, log=log, step=step, whole=whole)


def draw(space: Space, generator: np.random.Generator) -> dict[str, Any]:
    """One value for every parameter, in the order of their names, so that the order in the file does not matter."""
    return {name: space[name].draw(generator) for name in sorted(space)}


def grid(space: Space) -> list[dict[str, Any]]:
    """All combinations, the last name varying fastest.

    >>> grid({"a": Choice((1, 2)), "b": Choice(("x",))})
    [{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'x'}]
    """
    names = sorted(space)
    return [
        dict(zip(names, point, strict=True)) for point in itertools.product(*(space[n].grid() for n in names))
    ]
