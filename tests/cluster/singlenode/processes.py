"""Running other programs: lists of arguments in, text or a Failure out."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from .failures import Failure

Word = str | Path


def run(
    *command: Word, cwd: Word | None = None, env: Mapping[str, str] | None = None, show: bool = False
) -> str:
    """Run *command* and give what it printed on standard output, stripped.

    With *show* both its streams go to the terminal and the answer is empty. A command that fails raises
    :class:`Failure` with the end of what it said.
    """
    pipe = None if show else subprocess.PIPE
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=env, stdout=pipe, stderr=pipe, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr or done.stdout or "").strip()[-2000:]
        raise Failure(f"failed with {done.returncode}: {' '.join(map(str, command))}\n{said}".rstrip())
    return (done.stdout or "").strip()


def succeeds(*command: Word, env: Mapping[str, str] | None = None) -> bool:
    """Whether *command* ends with 0. What it prints is thrown away."""
    quiet = subprocess.DEVNULL
    done = subprocess.run(
        [str(w) for w in command], env=env, stdin=quiet, stdout=quiet, stderr=quiet, check=False
    )
    return done.returncode == 0
