"""Files and folders that appear whole or not at all: a reader, or a kill, never meets half of one."""

from __future__ import annotations

import shutil
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write *text* to *path*, making its folder. A file that is a hard link is replaced, never written through."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def publish_folder(finished: Path, at: Path) -> None:
    """Move the folder *finished* to *at*. Whoever looks sees the old folder, none, or the new one."""
    old = at.with_name(f".{at.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if at.is_dir():
        at.rename(old)  # removing it in its place would show a part of it
    finished.rename(at)
    shutil.rmtree(old, ignore_errors=True)
