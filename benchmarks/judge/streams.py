"""Simulated traffic: counts of many releases at once, (rollouts,) a look. Every stream has a seed of its own, by name."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlead.release.judge.windows import Window

Floats = NDArray[np.float64]


def generator(name: str) -> np.random.Generator:
    """The same draws for the same name, on every machine."""
    return np.random.default_rng([2026, zlib.crc32(name.encode())])


@dataclass(frozen=True)
class Truth:
    """What is true of the candidate: its rate is ``ratio · stable + add``."""

    says: str
    ratio: float = 1.0
    add: float = 0.0

    def at(self, base: Floats | float) -> Floats:
        return np.minimum(self.ratio * np.asarray(base) + self.add, 1.0)


EQUAL = Truth("equal")


def errors(
    name: str, rollouts: int, *, truth: Truth = EQUAL, base: float = 0.005, share: float = 0.05, units: int = 6000,
    looks: int = 60, seconds: float = 60.0,
) -> Iterator[Window]:  # fmt: skip
    """Failed requests at a constant rate and weight."""
    draw = generator(name)
    n_c = round(units * share)
    for _ in range(looks):
        x_c, x_s = draw.binomial(n_c, truth.at(base), rollouts), draw.binomial(units - n_c, base, rollouts)
        yield Window(np.full(rollouts, float(n_c)), x_c, np.full(rollouts, float(units - n_c)), x_s, seconds)


def swinging(draw: np.random.Generator, look: int, rollouts: int) -> Floats:
    """A base rate between 0.18 and 1.4 % over the day, with shocks that both arms feel."""
    return 0.005 * np.exp(np.sin(2 * np.pi * look / 240)) * draw.lognormal(0, 0.3, rollouts)


def bursts(
    name: str, rollouts: int, *, mean: float, share: float, counted: bool, looks: int = 60
) -> Iterator[Window]:
    """Requests in groups of geometric size that fail together; *counted* counts groups instead of requests."""
    draw = generator(name)
    groups = [max(1, round(6000 / mean * part)) for part in (share, 1 - share)]
    for _ in range(looks):
        counts: list[Floats] = []
        for number in groups:
            bad = draw.binomial(number, 0.005, rollouts)
            if counted:
                counts += [np.full(rollouts, float(number)), bad]
            else:
                failed = _members(draw, bad, mean)
                counts += [failed + _members(draw, number - bad, mean), failed]
        yield Window(*counts)


def _members(draw: np.random.Generator, groups: Floats, mean: float) -> Floats:
    """Requests in *groups* groups of geometric size."""
    more = draw.negative_binomial(np.maximum(groups, 1), 1 / mean)
    return groups + np.where(groups > 0, more, 0)


def slow(
    name: str,
    rollouts: int,
    *,
    rate: float,
    share: float,
    own: float | None,
    truth: Truth = EQUAL,
    minutes: int = 120,
) -> Iterator[Window]:
    """Slow answers each 10 s: 1 % at base, shocks common to both arms, and noise of each arm's own.

    Args:
        name: Of the stream.
        rollouts: How many.
        rate: Requests a second of both arms.
        share: The candidate's.
        own: Correlation time in seconds of an arm's own noise (sd 0.5 of the logarithm); None: it has none.
        truth: What is true of the candidate.
        minutes: How long.
    """
    draw = generator(name)
    n_c, n_s = round(10 * rate * share), round(10 * rate * (1 - share))
    common, noise = np.zeros(rollouts), draw.normal(0, 0.5, (2, rollouts))
    for _ in range(6 * minutes):
        common = _wander(draw, common, 0.3, 60.0)
        noise = np.zeros((2, rollouts)) if own is None else _wander(draw, noise, 0.5, own)
        base = 0.01 * np.exp(common - 0.045)
        spread = 0.125 if own is not None else 0.0
        p_c = np.minimum(truth.at(base) * np.exp(noise[0] - spread), 1)
        p_s = np.minimum(base * np.exp(noise[1] - spread), 1)
        x_c, x_s = draw.binomial(n_c, p_c), draw.binomial(n_s, p_s)
        yield Window(np.full(rollouts, float(n_c)), x_c, np.full(rollouts, float(n_s)), x_s, 10.0)


def _wander(draw: np.random.Generator, before: Floats, sd: float, seconds: float) -> Floats:
    """The next 10 s of an autoregressive logarithm."""
    kept = np.exp(-10.0 / seconds)
    return kept * before + draw.normal(0, sd * np.sqrt(1 - kept**2), before.shape)


@dataclass(frozen=True)
class Delays:
    """How long labels take, in looks (mean of a geometric distribution), and which of them ever come."""

    right: float
    wrong: float
    wrong_c: float | None = None
    """Wrong answers of the candidate, where they are labelled at another pace."""
    kept_c: float = 1.0
    """Share of the candidate's right answers that ever get a label."""


def arrivals(
    name: str, rollouts: int, *, delays: Delays, truth: Truth = EQUAL, base: float = 0.1, looks: int = 40, units: int = 1000,
    first: float = 0.2, later: float | None = None, swings: bool = False,
) -> Iterator[tuple[Floats, Floats, Floats, Floats]]:  # fmt: skip
    """Labels that arrive in each look, by cohort: n_c, x_c, n_s, x_s of shape (rollouts, cohorts).

    The weight is *first*, and from the fifteenth look on *later*.
    """
    draw = generator(name)
    came = np.zeros((4, looks, looks, rollouts))
    for cohort in range(looks):
        share = first if later is None or cohort < 15 else later
        p_s = base * (1 + 0.6 * np.sin(2 * np.pi * cohort / looks)) if swings else base
        for arm, (number, p) in enumerate(
            ((round(units * share), float(truth.at(p_s))), (round(units * (1 - share)), p_s))
        ):
            wrong = draw.binomial(number, p, rollouts)
            right = draw.binomial(number - wrong, delays.kept_c if arm == 0 else 1.0)
            pace = delays.wrong_c if arm == 0 and delays.wrong_c is not None else delays.wrong
            came_wrong = _spread(draw, wrong, pace, looks - cohort)
            came[2 * arm, cohort:, cohort] = came_wrong + _spread(draw, right, delays.right, looks - cohort)
            came[2 * arm + 1, cohort:, cohort] = came_wrong
    for look in range(looks):
        n_c, x_c, n_s, x_s = (np.ascontiguousarray(part[look, : look + 1].T) for part in came)
        yield n_c, x_c, n_s, x_s


def _spread(draw: np.random.Generator, number: Floats, mean: float, ages: int) -> Floats:
    """How many of *number* labels arrive at each age, (ages, rollouts)."""
    left, found = number.copy(), np.zeros((ages, len(number)))
    for age in range(ages):
        found[age] = draw.binomial(left, 1 / mean)
        left = left - found[age].astype(left.dtype)
    return found
