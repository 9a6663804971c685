"""What is known about a bundle but is not part of it: where it comes from, how good it is, when and with what it was made.

Attestations name the bundle's digest and stand beside the Bento. They may differ between two runs that give the same
bundle, which is why they are not in the digest.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fairlead.bundle.compress.adopt import BEFORE, TABLE
from fairlead.records import Candidate

BUILT_WITH = ("bentoml", "numpy", "onnx", "onnxruntime", "scikit-learn", "skl2onnx", "skops", "treelite")
"""Packages whose versions say how the bundle came about."""


def write_attestations(
    folder: Path,
    candidate: Candidate,
    provenance: Mapping[str, Any],
    parity: Any,
    batching: Mapping[str, Any] | None = None,
) -> None:
    """Write the attestations of a bundle.

    Args:
        folder: Where they go: ``candidate.json``, ``evaluation.json``, ``examples.json`` (valid requests), ``gates.json``,
            ``parity.json``, ``provenance.json``; where smaller models were looked for ``compression.json``, and if one was
            taken ``evaluation-uncompressed.json`` instead of ``evaluation.json``; with *batching* ``batching.json``.
        candidate: The model that was exported.
        provenance: Digests, run id, times.
        parity: The parity table as plain rows.
        batching: What calls of the model cost and what was decided, if that was measured.
    """
    folder.mkdir(parents=True)
    for name in (Candidate.FILE, "evaluation.json", "examples.json", TABLE, BEFORE):
        origin = Path(candidate.path) / name
        if origin.is_file():
            shutil.copyfile(origin, folder / name)
    _write(folder / "gates.json", {"digest": provenance["digest"], "gates": list(candidate.gates)})
    _write(folder / "parity.json", {"digest": provenance["digest"], "parity": parity})
    if batching is not None:
        _write(folder / "batching.json", {"digest": provenance["digest"], **batching})
    _write(
        folder / "provenance.json", {**provenance, "built_with": {name: version(name) for name in BUILT_WITH}}
    )


def _write(path: Path, content: Any) -> None:
    path.write_text(
        json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
