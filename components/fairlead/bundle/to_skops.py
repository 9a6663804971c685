"""The trained model itself, as a skops file: always possible, no pickle inside, slowest to serve.

skops constructs only types it knows; anything else must be named. Here that is two kinds: scikit-learn's own tree
structures, and types of the project's own package, whose source travels in the bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import skops.io

from fairlead.bundle.canonical import canonical_skops
from fairlead.errors import IntegrityError

SCIKIT_LEARN_TYPES = frozenset({
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
})  # fmt: skip
"""Types of scikit-learn that skops does not list because a forged file could abuse them; ours are named by digest."""


def trusted_types(file: Path, declared: Sequence[str]) -> tuple[str, ...]:
    """The types that opening *file* must be allowed to construct, sorted.

    Args:
        file: A skops file.
        declared: Types of the project's own package, from the candidate's record.

    Raises:
        IntegrityError: The file holds a type that is neither scikit-learn's nor declared.
    """
    unknown = set(skops.io.get_untrusted_types(file=file))
    strange = sorted(name for name in unknown - set(declared) if not _is_scikit_learn(name))
    if strange:
        raise IntegrityError(
            f"{file.name} holds {', '.join(strange)}, which the candidate does not declare",
            hint="Train again: only types of scikit-learn and of the project's own package are opened.",
        )
    return tuple(sorted(unknown))


def load_trained(file: Path, declared: Sequence[str]) -> Any:
    """The trained pipeline of a candidate. The project's package must be importable.

    Raises:
        IntegrityError: As :func:`trusted_types`.
    """
    return skops.io.load(file, trusted=list(trusted_types(file, declared)))


def to_skops(file: Path) -> bytes:
    """The candidate's own model file with bytes that depend on the model only."""
    return canonical_skops(file.read_bytes())


def _is_scikit_learn(name: str) -> bool:
    return name in SCIKIT_LEARN_TYPES
