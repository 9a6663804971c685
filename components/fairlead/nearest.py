"""The name that was probably meant: every refusal of a name says it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name most like *name*, whatever its case; None if none is near.

    >>> nearest("Amuont", ["amount", "at"]), nearest("x", ["amount"])
    ('amount', None)
    """
    by_fold = {other.casefold(): other for other in reversed(list(names))}
    found = difflib.get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The nearest of *names* as a question, or the first twenty if none is near.

    >>> did_you_mean("amuont", ["amount", "at"]), did_you_mean("x", ["amount", "at"])
    ("Did you mean 'amount'?", 'There are: amount, at.')
    """
    known = list(names)
    found = nearest(name, known)
    if found is not None:
        return f"Did you mean {found!r}?"
    shown = ", ".join(known[:20]) + (" …" if len(known) > 20 else "")
    return f"There are: {shown or 'none'}."
