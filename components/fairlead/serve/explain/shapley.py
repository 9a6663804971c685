"""Shapley values: what each player adds to a game, on average over the orders in which players can join.

A coalition is a set of players whose values are those of the row to be explained; the others have the values of
the reference. Contributions add up to the answer with all players less the answer with none (Shapley 1953;
Štrumbelj & Kononenko: *Explaining prediction models and individual predictions with feature contributions*,
Knowledge and Information Systems 41, 2014; Lundberg & Lee: *A Unified Approach to Interpreting Model
Predictions*, NeurIPS 2017, of which this is the case of one reference row).

Few players are asked about in every coalition (:class:`Exact`); for more, orders are sampled (:class:`Sampled`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SEED = 20140701
"""Any would do; one, so that the same question has the same answer."""
EXACT_PLAYERS = 8
"""Up to so many, all coalitions (256) are no more than samples would need."""

Floats = NDArray[np.float64]


class Plan(Protocol):
    """Which coalitions to ask a model about, and what to make of its answers."""

    @property
    def coalitions(self) -> NDArray[np.bool_]:
        """Shape (coalitions, players), all different; nobody comes first, everybody last."""

    @property
    def orders(self) -> int:
        """How many orders were sampled; 0 if nothing was."""

    def contributions(self, values: Floats) -> tuple[Floats, Floats]:
        """What a model's answers say about each player.

        Args:
            values: Shape (rows, coalitions): the answer for each row and coalition.

        Returns:
            Contributions, shape (rows, players), and their standard errors.
        """


def plan_of(players: int, most_orders: int) -> Plan:
    """The plan for so many players, of at most *most_orders* orders (but at least one and its reverse).

    >>> [len(plan_of(players, most_orders=32).coalitions) for players in (2, 8, 9)]
    [4, 256, 182]
    """
    return Exact.of(players) if players <= EXACT_PLAYERS else Sampled.of(players, max(1, most_orders // 2))


@dataclass(frozen=True, slots=True)
class Exact:
    """All coalitions, each weighted by the share of orders in which it is met.

    >>> plan = Exact.of(2)  # an additive game: 3 for the first player, 4 for the second
    >>> contributions, errors = plan.contributions((plan.coalitions @ np.array([3.0, 4.0]))[None])
    >>> contributions.tolist(), errors.tolist()
    ([[3.0, 4.0]], [[0.0, 0.0]])
    """

    coalitions: NDArray[np.bool_]
    weights: Floats
    """Shape (players, coalitions)."""
    orders: int = 0

    @classmethod
    def of(cls, players: int) -> Exact:
        """The plan for so many players."""
        numbers = np.arange(2**players)
        coalitions = (numbers[:, None] >> np.arange(players)) & 1 == 1
        size = coalitions.sum(axis=1)
        # A player joins a coalition of s others in s! (players - s - 1)! of all players! orders.
        share = np.array([1 / (players * math.comb(players - 1, s)) for s in range(players)] or [0.0])
        joined = share[np.maximum(size - 1, 0)]
        absent = share[np.minimum(size, players - 1)]
        return cls(coalitions, np.where(coalitions, joined[:, None], -absent[:, None]).T)

    def contributions(self, values: Floats) -> tuple[Floats, Floats]:
        """See :class:`Plan`. Nothing is sampled, so errors are 0."""
        # Weights of a player add up to 0; without the base, equal answers give exactly 0.
        contributions = (values - values[:, :1]) @ self.weights.T
        return contributions, np.zeros_like(contributions)


@dataclass(frozen=True, slots=True)
class Sampled:
    """Orders from a fixed seed; along each, a player is credited with the change it makes when it joins.

    Orders come in pairs, one the reverse of the other (Mitchell, Cooper, Frank & Holmes: *Sampling Permutations
    for Shapley Value Estimation*, JMLR 23, 2022). Every two players then join in both orders equally often, so
    that a model in which at most two fields act together is explained exactly, however few the pairs. Along
    each order the changes add up to the whole change, so their averages do.
    """

    coalitions: NDArray[np.bool_]
    joining: NDArray[np.intp]
    """Shape (orders, players): permutations; the reverse of row 2i is row 2i + 1."""
    places: NDArray[np.intp]
    """Shape (orders, players + 1): the position of the coalition after so many players have joined."""

    @property
    def orders(self) -> int:
        """How many orders are asked about."""
        return len(self.joining)

    @classmethod
    def of(cls, players: int, pairs: int) -> Sampled:
        """The plan for so many players, by *pairs* of orders."""
        rng = np.random.default_rng(SEED)
        forward = rng.permuted(np.tile(np.arange(players, dtype=np.intp), (pairs, 1)), axis=1)
        joining = np.stack([forward, forward[:, ::-1]], axis=1).reshape(2 * pairs, players)
        rank = np.argsort(joining, axis=1)
        joined = rank[:, None, :] < np.arange(players + 1)[None, :, None]  # (orders, players + 1, players)
        coalitions, places = np.unique(joined.reshape(-1, players), axis=0, return_inverse=True)
        return cls(coalitions, joining, places.reshape(2 * pairs, players + 1))

    def contributions(self, values: Floats) -> tuple[Floats, Floats]:
        """See :class:`Plan`. Errors are NaN where there is only one pair, which cannot tell."""
        changes = np.diff(values[:, self.places], axis=2)  # (rows, orders, players as they join)
        credited = np.empty_like(changes)
        np.put_along_axis(credited, np.broadcast_to(self.joining, changes.shape), changes, axis=2)
        # The two orders of a pair depend on each other; pairs do not.
        pairs = credited.reshape(len(values), self.orders // 2, 2, -1).mean(axis=2)
        contributions: Floats = pairs.mean(axis=1)
        if pairs.shape[1] < 2:
            return contributions, np.full_like(contributions, np.nan)
        errors: Floats = pairs.std(axis=1, ddof=1) / math.sqrt(pairs.shape[1])
        return contributions, errors
