"""The servers fairlead is compared with, each in an environment of its own below ``~/.cache/fairlead-bench``.

They are installed once, from the package registry, in these versions. MLflow and BentoML are the project's own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fairlead-bench"
ENVIRONMENTS = {
    "mlserver": ("mlserver==1.7.1", "onnxruntime==1.31.1"),
    "kserve": ("kserve==0.21.0", "onnxruntime==1.31.1"),
    "granian": ("granian==2.8.7",),
}
GHZ = "github.com/bojand/ghz/cmd/ghz@v0.121.0"


def python_of(name: str) -> Path:
    """The interpreter of a peer's environment, which is made if it is not there."""
    folder = CACHE / name
    complete = folder / ".complete"
    if not complete.exists():
        print(f"installing {' '.join(ENVIRONMENTS[name])} into {folder}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *ENVIRONMENTS[name]], check=True)
        complete.touch()
    return folder / "bin" / "python"


def packages_of(name: str) -> Path:
    """Where a peer's packages are: granian serves an application of this interpreter."""
    [folder] = python_of(name).parents[1].glob("lib/python*/site-packages")
    return folder


def ghz() -> Path | None:
    """The load tool for gRPC; None where neither it nor Go is installed."""
    tool = CACHE / "bin" / "ghz"
    if tool.exists():
        return tool
    if found := shutil.which("ghz"):
        return Path(found)
    if shutil.which("go") is None:
        return None
    print(f"building {GHZ} into {tool.parent}", flush=True)
    subprocess.run(["go", "install", GHZ], env={**os.environ, "GOBIN": str(tool.parent)}, check=True)
    return tool
