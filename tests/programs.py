"""Programs that tests need and Python packages do not bring: helm, kubectl, versitygw."""

import os
import shutil
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / ".tools" / "programs"
"""Where `make test` puts those that Go can build."""


def find(name: str) -> str | None:
    """The program called *name*: by an environment variable (HELM4 for helm4), of the Makefile, or on the PATH."""
    return (
        shutil.which(os.environ.get(name.upper(), ""))
        or shutil.which(name, path=str(FOLDER))
        or shutil.which(name)
    )
