"""Records and folders as the prediction log writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fairlead.serve.log.files import FINISHED, SegmentName

BEGIN = 1795327971.5
"""2026-11-22 06:12:51.5 UTC."""
Record = dict[str, Any]


def prediction(seq: int, *, epoch: str = "18a-1", at: float = BEGIN, rows: int = 1, **more: Any) -> Record:
    row = {"inputs": {"amount": float(seq), "country": "DE"}, "answer": [0.25, 0.75]} | more.pop("row", {})
    return {
        "kind": "prediction", "id": f"{epoch}-{seq}", "pod": "fraud-0", "epoch": epoch, "seq": seq, "at": at,
        "slot": "blue", "bundle": "3f3f", "route": "live", "seconds": 0.002, "rows": [row] * rows,
    } | more  # fmt: skip


def feedback(
    seq: int, identity: str, label: Any, *, row: int = 0, at: float = BEGIN, received: float = BEGIN
) -> Record:
    return {
        "kind": "feedback", "id": identity, "row": row, "pod": "fraud-0", "epoch": "18a-1", "seq": seq, "at": at,
        "received": received, "slot": "blue", "bundle": "3f3f", "label": label,
    }  # fmt: skip


def pair(seq: int, identity: str, *, others: list[list[float]] | None = None) -> Record:
    return {
        "kind": "pair", "id": identity, "pod": "fraud-0", "epoch": "18a-1", "seq": seq, "at": BEGIN, "slot": "blue",
        "bundle": "3f3f", "endpoint": "/predict", "seconds": 0.002, "other_status": 200, "other_seconds": 0.1,
        "answers": [[0.25, 0.75]], "other_bundle": "5e5e", "other_answers": others, "flipped": others and False,
        "flipped_rows": 0,
    }  # fmt: skip


def worker(event: str, seq: int, epoch: str = "18a-1") -> Record:
    return {"kind": "worker", "event": event, "pod": "fraud-0", "epoch": epoch, "seq": seq, "at": BEGIN}


def write_segment(
    folder: Path, records: Iterable[Record], *, at: float = BEGIN, epoch: str = "18a-1"
) -> Path:
    """A finished segment."""
    folder.mkdir(parents=True, exist_ok=True)
    records = list(records)
    path = folder / SegmentName(at, "fraud-0", epoch, records[0]["seq"]).text(FINISHED)
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path
