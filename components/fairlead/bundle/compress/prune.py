"""Fitted models with parts left out: trees, leaves, weights and terms.

Nothing is fitted again. What is left out is what the model itself says matters least: the last trees of a boosting, the
splits that gain least (minimal cost-complexity pruning; Breiman, Friedman, Olshen and Stone 1984, chapter 3), the
smallest weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.bundle.compress.variants import NothingToDo, Variant
from fairlead.bundle.compress.vocabulary import has_terms, with_fewer_terms
from fairlead.bundle.formats import steps_of

SHARES = (0.5, 0.25)
"""Shares of trees, leaves or terms that are kept."""
WEIGHT_SHARE = 0.01
"""Linear weights that together make up this share of all (absolute) weight are set to zero."""


def prunings(estimator: Any) -> Iterator[Variant]:
    """Pruned copies of a fitted pipeline, the mildest first.

    Raises:
        NothingToDo: The model has no trees, no weights and no terms.
    """
    _, final = steps_of(estimator)
    if hasattr(final, "_predictors") or tree_models(final):
        yield from _tree_prunings(estimator, final)
    elif weights_of(final) is not None:
        yield from _linear_prunings(estimator, final)
    else:
        raise NothingToDo(f"{type(final).__name__} has no trees, no linear weights and no terms")


def _tree_prunings(estimator: Any, final: Any) -> Iterator[Variant]:
    for share in SHARES:
        if (kept := kept_of(tree_count(final), share)) < tree_count(final):
            yield Variant(f"trees-{kept}", "prune", f"the first {kept} of {tree_count(final)} trees",
                          _changed(estimator, lambda model, kept=kept: keep_trees(model, kept)))  # fmt: skip
    for share in SHARES if tree_models(final) else ():
        before = leaf_count(final)
        pruned = _changed(estimator, lambda model, share=share: merge_leaves(model, share))
        if (after := leaf_count(steps_of(pruned)[1])) < before:
            yield Variant(f"leaves-{share:.0%}", "prune", f"{after:,} of {before:,} leaves", pruned)


def _linear_prunings(estimator: Any, final: Any) -> Iterator[Variant]:
    if has_terms(estimator):
        for share in SHARES:
            pruned, kept, before = with_fewer_terms(estimator, share, weights_of(final))
            yield Variant(f"terms-{share:.0%}", "prune", f"{kept:,} of {before:,} terms", pruned)
    elif hasattr(final, "coef_"):
        pruned = _changed(estimator, lambda model: zero_weights(model, WEIGHT_SHARE))
        zeroed = int((steps_of(pruned)[1].coef_ == 0).sum() - (final.coef_ == 0).sum())
        if zeroed:
            says = f"{zeroed} of {final.coef_.size} weights set to zero; they still take their bytes"
            yield Variant("weights", "prune", says, pruned)


def _changed(estimator: Any, change: Any) -> Any:
    """A copy whose final model was changed; the original stays as it is."""
    again = copy.deepcopy(estimator)
    change(steps_of(again)[1])
    return again


def kept_of(count: int, share: float) -> int:
    """How many of *count* a share is: at least one.

    >>> kept_of(150, 0.5), kept_of(3, 0.25), kept_of(0, 0.5)
    (75, 1, 0)
    """
    return min(count, max(1, round(count * share)))


# --------------------------------------------------------------------------------------------------- trees


def tree_models(final: Any) -> list[Any]:
    """The fitted trees of a forest, a boosting or a single tree; empty for histogram boosting, which keeps other ones."""
    if hasattr(final, "_prune_tree") and hasattr(final, "tree_"):
        return [final]
    members = getattr(final, "estimators_", None)
    found = [] if members is None else np.ravel(np.asarray(members, dtype=object)).tolist()
    return [tree for tree in found if hasattr(tree, "_prune_tree")]


def tree_count(final: Any) -> int:
    """Trees of an ensemble; for boosting the rounds, each of which has a tree a class."""
    rounds = final._predictors if hasattr(final, "_predictors") else getattr(final, "estimators_", (final,))  # noqa: SLF001
    return len(rounds)


def leaf_count(final: Any) -> int:
    """Leaves of all trees."""
    return sum(int(tree.tree_.n_leaves) for tree in tree_models(final))


def keep_trees(final: Any, kept: int) -> None:
    """Leave out all trees but the first: a boosting that had stopped earlier, a forest of fewer trees."""
    if hasattr(final, "_predictors"):
        final._predictors = final._predictors[:kept]  # noqa: SLF001 - what its own prediction goes through
        return
    final.estimators_ = final.estimators_[:kept]
    final.n_estimators = kept
    if hasattr(final, "n_estimators_"):
        final.n_estimators_ = kept


def merge_leaves(final: Any, share: float) -> None:
    """Merge leaves, the least useful first, until at most *share* of them are left; never beyond one a tree.

    One complexity for all trees: a tree whose splits gain little loses more of them than one whose splits gain much.
    """
    trees = tree_models(final)
    wanted = max(len(trees), share * leaf_count(final))
    low, high = 0.0, max(float(tree.tree_.impurity[0]) for tree in trees)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        left = sum(int(_merged(tree, middle).tree_.n_leaves) for tree in trees)
        low, high = (middle, high) if left > wanted else (low, middle)
    for tree in trees:
        tree.tree_ = _merged(tree, high).tree_


_HALVINGS = 20
"""The complexity is found to a millionth of the largest one."""


def _merged(tree: Any, complexity: float) -> Any:
    again = copy.copy(tree)
    again.ccp_alpha = complexity
    again._prune_tree()  # noqa: SLF001 - scikit-learn prunes a fitted tree only through this
    return again


# ------------------------------------------------------------------------------------------------- weights


def weights_of(final: Any) -> NDArray[np.float64] | None:
    """The linear weights of a model, shape (outputs, columns); None if it has none."""
    for name in ("coef_", "feature_log_prob_"):
        if hasattr(final, name):
            return np.atleast_2d(np.asarray(getattr(final, name), dtype=np.float64))
    return None


def zero_weights(final: Any, share: float) -> None:
    """Set the smallest weights to zero that together make up at most *share* of all absolute weight."""
    final.coef_ = without_small(final.coef_, share)


def without_small(weights: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """The weights without the smallest ones.

    >>> without_small(np.array([[10.0, -0.05, 0.01, 3.0]]), 0.01).tolist()
    [[10.0, 0.0, 0.0, 3.0]]
    """
    size = np.abs(weights).ravel()
    order = np.argsort(size, kind="stable")
    small = order[np.cumsum(size[order]) <= share * size.sum()]
    kept = weights.copy().ravel()
    kept[small] = 0.0
    return kept.reshape(weights.shape)
