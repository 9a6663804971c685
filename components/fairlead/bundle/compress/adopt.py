"""The candidate as it is after compression: a folder of its own, in which everything is about the model that is served."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairlead.bundle.compress.measure import Judged
from fairlead.heldout import LABELLED
from fairlead.records import Candidate, GateResult
from fairlead.schema import Schema
from fairlead.stats.predictions import profile_of_answers

TABLE = "compression.json"
"""What was measured and decided."""
BEFORE = "evaluation-uncompressed.json"
"""The whole evaluation is about the model as it was trained, and is called so if another one is served."""


def with_table(candidate: Candidate, table: Mapping[str, Any], folder: Path) -> Candidate:
    """A copy of the candidate in *folder*, with the table; its rows are not needed any more."""
    shutil.copytree(candidate.path, folder, ignore=shutil.ignore_patterns(LABELLED))
    _write(folder / TABLE, table)
    return dataclasses.replace(candidate, path=str(folder))


def adopted(
    candidate: Candidate, name: str, schema: Schema, model: Judged, gates: Sequence[GateResult]
) -> Candidate:
    """The candidate with a variant in its place: schema, reference of predictions, metrics and gates are the variant's.

    Args:
        candidate: A copy made by :func:`with_table`; its folder is changed.
        name: Of the variant.
        schema: With the variant's threshold.
        model: The variant's answers to the test rows.
        gates: Judged for the variant.
    """
    folder = Path(candidate.path)
    (folder / "schema.json").write_text(schema.to_json(), encoding="utf-8")
    profile = json.loads((folder / "profile.json").read_bytes())
    profile["predictions"] = json.loads(profile_of_answers(model.output, model.answers).to_json())
    _write(folder / "profile.json", profile)
    if (folder / "evaluation.json").is_file():
        (folder / "evaluation.json").rename(folder / BEFORE)
    changed = dataclasses.replace(
        candidate,
        name=f"{candidate.name}+{name}",
        metrics=model.figures,
        gates=[dataclasses.asdict(gate) for gate in gates],
    )
    record = dataclasses.replace(changed, path=".")
    (folder / Candidate.FILE).write_text(record.to_json(), encoding="utf-8")
    return changed


def _write(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
