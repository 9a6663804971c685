"""Labels find their predictions. Pure.

A label names its prediction by request id and row. It may come late, twice, out of order, or for a prediction that was never
logged. The last one wins: the latest by its own time (``at``), among equal ones the one that arrived last (``received``, then the
worker's number). All of them stay in the table ``feedback``.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_KEYS = ["id", "row"]
_ORDER = [("id", "ascending"), ("row", "ascending"), ("at", "ascending"), ("received", "ascending"), ("epoch", "ascending"),
          ("seq", "ascending")]  # fmt: skip


def last_labels(feedback: pa.Table) -> pa.Table:
    """One row a labelled prediction: ``id``, ``row``, ``label``, ``value``, ``labelled_at``, and ``labels``, how many there are.

    The same label that was shipped twice, or sent twice, counts twice and changes nothing.
    """
    plain = feedback.set_column(
        feedback.schema.get_field_index("epoch"), "epoch", feedback["epoch"].cast(pa.string())
    )
    ordered = plain.sort_by(_ORDER)
    # One thread: "last" of a group is by order of rows.
    grouped = ordered.group_by(_KEYS, use_threads=False).aggregate(
        [("label", "last"), ("value", "last"), ("at", "last"), ("label", "count")]
    )
    return grouped.select(["id", "row", "label_last", "value_last", "at_last", "label_count"]).rename_columns(
        ["id", "row", "label", "value", "labelled_at", "labels"]
    )


def with_labels(predictions: pa.Table, feedback: pa.Table) -> pa.Table:
    """Predictions in their order, with ``label``, ``value``, ``labelled_at`` and ``labels`` (null where there is no label).

    Two predictions of one id (a client sent it twice) get the same label.
    """
    labels = last_labels(feedback)
    left = predictions.select(_KEYS).append_column("_left", pa.array(range(len(predictions)), pa.int64()))
    right = labels.select(_KEYS).append_column("_right", pa.array(range(len(labels)), pa.int64()))
    # Joined by position: a join does not carry columns of lists.
    joined = left.join(right, keys=_KEYS, join_type="left outer").sort_by("_left")
    for name in ("label", "value", "labelled_at", "labels"):
        predictions = predictions.append_column(name, pc.take(labels[name], joined["_right"]))
    return predictions
