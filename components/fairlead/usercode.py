"""The project's own Python code, found by ``module:function`` in the project's folder."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairlead.errors import UserCodeError
from fairlead.nearest import did_you_mean

_SKIPPED = frozenset({"__pycache__", "data", "node_modules", "venv"})


def is_own_code(inside: Path) -> bool:
    """Whether a file, by its path inside the project, is the project's own code: the archive and a bundle carry the same.

    >>> is_own_code(Path("features/more.py")), is_own_code(Path(".venv/lib/x.py")), is_own_code(Path("data/generate.py"))
    (True, False, False)
    """
    return not any(part in _SKIPPED or part.startswith(".") for part in inside.parts)


def load_function(root: Path, path: str) -> Callable[..., Any]:
    """Import ``module:function`` with *root* first on the search path.

    Raises:
        UserCodeError: No such module or function, or importing it fails; the message names the nearest function.
    """
    module_name, _, function = path.partition(":")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as cause:
        if cause.name and module_name.split(".")[0] == cause.name.split(".")[0]:
            raise UserCodeError(
                f"{path}: there is no module {cause.name!r} in {root}",
                hint="The path is `module:function`, relative to the folder of the project file.",
            ) from cause
        raise UserCodeError(
            f"{path}: importing it needs the package {cause.name!r}, which is not installed"
        ) from cause
    except (Exception, SystemExit) as cause:  # a script calls sys.exit
        raise UserCodeError(f"{path}: importing the module raised {type(cause).__name__}: {cause}") from cause
    found = getattr(module, function, None)
    if not callable(found):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise UserCodeError(
            f"{path}: the module has no function {function!r}", hint=did_you_mean(function, sorted(names))
        )
    return found  # type: ignore[no-any-return]
