"""Settings of a deployment, read from environment variables ``FAIRLEAD_…``; each reader names what is wrong.

What a model needs wherever it runs is in its bundle (:mod:`fairlead.serve.rules`). What differs from one
deployment to the next is here: addresses, limits, credentials, folders.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from fairlead.errors import ProjectError

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class Environment:
    """Typed readers of variables. A variable that is empty counts as not set.

    >>> env = Environment({"FAIRLEAD_PORT": "9000", "FAIRLEAD_APIS": "graphql, page"})
    >>> env.whole("FAIRLEAD_PORT", 8080, low=0, high=65535), env.words("FAIRLEAD_APIS")
    (9000, ('graphql', 'page'))
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def text(self, name: str, default: str = "") -> str:
        """The value without white space around it."""
        return self._variables.get(name, "").strip() or default

    def number(self, name: str, default: float, *, low: float, high: float = math.inf) -> float:
        """A finite number from *low* to *high*. Raises ProjectError."""
        given = self.text(name)
        try:
            value = float(given) if given else default
        except ValueError:
            value = math.nan
        if not (low <= value <= high and math.isfinite(value)):
            raise _wrong(name, given, f"must be a number {_between(low, high)}", f"{default:g}")
        return value

    def whole(self, name: str, default: int, *, low: int, high: float = math.inf) -> int:
        """A whole number from *low* to *high*. Raises ProjectError."""
        given = self.text(name)
        try:
            value = int(given) if given else default
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise _wrong(name, given, f"must be a whole number {_between(low, high)}", str(default))
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false. Raises ProjectError."""
        given = self.text(name).lower()
        if given and given not in _TRUE | _FALSE:
            raise _wrong(name, given, "must be true or false", str(default).lower())
        return given in _TRUE if given else default

    def words(self, name: str, known: frozenset[str] | None = None) -> tuple[str, ...]:
        """A list separated by commas; ProjectError for one that is not among the *known*."""
        words = tuple(word.strip() for word in self.text(name).split(",") if word.strip())
        for word in words:
            if known is not None and word not in known:
                raise _wrong(name, word, f"must be one of {', '.join(sorted(known))}", "nothing")
        return words

    def path(self, name: str) -> Path | None:
        """An absolute path, which need not exist. Raises ProjectError for a relative one.

        A Bento runs in its own folder, which never changes: a relative path would lead there.
        """
        given = self.text(name)
        if given and not Path(given).is_absolute():
            raise _wrong(name, given, "must be an absolute path", "nothing")
        return Path(given) if given else None

    def file(self, name: str) -> Path | None:
        """A file that can be read. Raises ProjectError."""
        path = self.path(name)
        if path is not None and not path.is_file():
            raise _wrong(name, str(path), "must be a file that can be read", "nothing")
        return path


def _between(low: float, high: float) -> str:
    return f"from {low:g} up" if high == math.inf else f"from {low:g} to {high:g}"


def _wrong(name: str, given: str, rule: str, default: str) -> ProjectError:
    return ProjectError(
        f"environment variable {name} is {given!r}, {rule}", hint=f"Leave it out for the default: {default}."
    )
