"""A trained pipeline on disk and back, without pickle: skops files, with every type beyond skops' own list accounted for.

Two kinds of types are accepted: a few structures of scikit-learn and numpy that are known to hold data only, and types of the
project's own package, whose source then travels beside the file.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import skops.io

from fairlead.atomic import publish_folder
from fairlead.errors import FairleadError, IntegrityError, UserCodeError
from fairlead.usercode import is_own_code

DATA_TYPES = frozenset({
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    # Histogram boosting with native categories keeps a partial of this one function.
    "functools.partial",
    "sklearn.utils.validation.check_array",
})  # fmt: skip
"""Not on skops' list, because a forged file could make them read beyond their arrays. Ours are checked by digest before
they are opened."""


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """A pipeline as it is kept, and as it comes back."""

    content: bytes
    """The skops file."""
    trusted: tuple[str, ...]
    """Types in it that belong to the project's own package, sorted."""
    again: Any
    """What loading the file gives."""


def save(pipeline: Any, root: Path) -> Saved:
    """Write a fitted pipeline with skops, and read it again.

    Args:
        pipeline: Fitted.
        root: Folder of the project's own package.

    Raises:
        UserCodeError: skops cannot save something in it, or a type belongs neither to scikit-learn nor to the project.
    """
    try:
        content = skops.io.dumps(pipeline)
        own = tuple(sorted(set(skops.io.get_untrusted_types(data=content)) - DATA_TYPES))
        _refuse_foreign(own, root)
        return Saved(content, own, load(content, own))
    except FairleadError:
        raise
    except Exception as cause:  # the project's types may raise anything while they are taken apart and built
        raise UserCodeError(
            f"skops cannot save {_names(pipeline)}: {cause}",
            hint="Keep plain attributes (numbers, text, arrays, estimators) and functions with a name; no lambdas, no files.",
        ) from cause


def _refuse_foreign(types: Sequence[str], root: Path) -> None:
    foreign = [name for name in types if not is_own(name, root)]
    if foreign:
        raise UserCodeError(
            f"skops cannot save {', '.join(foreign)} safely: neither scikit-learn's nor the project's own",
            hint="Use a scikit-learn estimator, or a class in the project's own package; its source then travels along.",
        )


def load(content: bytes, trusted: Sequence[str], code: Path | None = None) -> Any:
    """The pipeline in a skops file.

    Args:
        content: The skops file.
        trusted: Types of the project's own package that it may hold, from :func:`save`.
        code: Folder of the project's own package, if it is not importable already.

    Raises:
        IntegrityError: The file holds a type that is neither in *trusted* nor in :data:`DATA_TYPES`.
    """
    found = set(skops.io.get_untrusted_types(data=content))
    unknown = sorted(found - DATA_TYPES - set(trusted))
    if unknown:
        raise IntegrityError(f"the model file holds {', '.join(unknown)}, which its record does not name")
    with _importable(code):
        return skops.io.loads(content, trusted=sorted(found))


def is_own(type_name: str, root: Path) -> bool:
    """Whether a type or function lives in the project's own package."""
    top = type_name.partition(".")[0]
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    places = [found.origin, *(found.submodule_search_locations or ())] if found else []
    return any(place is not None and _travels_from(root, Path(place)) for place in places)


def _travels_from(root: Path, place: Path) -> bool:
    """Whether *place* is in the project's folder, and not in an environment of installed packages inside it."""
    whole = place.resolve()
    return whole.is_relative_to(root.resolve()) and _is_code(whole.relative_to(root.resolve()))


def _is_code(inside: Path) -> bool:
    return is_own_code(inside)


def copy_code(root: Path, to: Path) -> None:
    """Copy the project's Python files, in the folders they are in."""
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if _is_code(inside):
            target = to / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill that becomes *path* when the block ends, and nothing if it fails. What was at *path* is replaced."""
    partial = path.with_name(f"{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    publish_folder(partial, path)


@contextmanager
def _importable(code: Path | None) -> Iterator[None]:

    added = code is not None and str(code) not in sys.path
    if added:
        sys.path.insert(0, str(code))
    try:
        yield
    finally:
        if added:
            sys.path.remove(str(code))


def _names(pipeline: Any) -> str:
    return " → ".join(type(step).__name__ for _, step in getattr(pipeline, "steps", [("", pipeline)]))
