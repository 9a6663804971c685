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
    "numpy.dtype",
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    # Histogram boosting with categories keeps a FunctionTransformer of a partial of this one function.
    "functools.partial",
    "sklearn.utils.validation.check_array",
})  # fmt: skip
"""What scikit-learn's own models hold beyond skops' list. skops leaves them out because a forged file could abuse them;
ours are checked by digest before they are opened."""


def trusted_types(file: Path, declared: Sequence[str]) -> tuple[str, ...]:
    """The types that opening *file* must be allowed to construct, sorted.

    Args:
        file: A skops file.
        declared: Types of the project's own package, from the candidate's record.

    Raises:
        IntegrityError: The file holds a type that is neither scikit-learn's nor declared.
    """
    unknown = set(skops.io.get_untrusted_types(file=file))
    strange = sorted(unknown - SCIKIT_LEARN_TYPES - set(declared))
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
