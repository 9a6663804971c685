"""Make Python classes of the ``.proto`` files beside which they stand."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path("components/fairlead/serve/v2/proto")

COMMON_POOL = "_descriptor_pool.Default()"
OWN_POOL = "_descriptor_pool.DescriptorPool()"


def protocol_files(root: Path) -> Iterator[tuple[Path, str]]:
    """Every module made of a ``.proto`` file, and its types: path and text."""
    folder = root / FOLDER
    sources = sorted(path.name for path in folder.glob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        options = [f"--proto_path={folder}", f"--python_out={scratch}", f"--pyi_out={scratch}"]
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *options, *sources], check=True)
        for made in sorted(Path(scratch).iterdir()):
            yield folder / made.name, in_own_pool(made.read_text(encoding="utf-8"))


def in_own_pool(text: str) -> str:
    """*text* with its messages in a pool of their own; the package's docstring says why.

    >>> in_own_pool("DESCRIPTOR = _descriptor_pool.Default().AddSerializedFile(b'')")
    "DESCRIPTOR = _descriptor_pool.DescriptorPool().AddSerializedFile(b'')"
    """
    return text.replace(COMMON_POOL, OWN_POOL)
