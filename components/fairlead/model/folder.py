"""The candidate's folder: what :class:`fairlead.records.Candidate` says is in it, written all or nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fairlead.atomic import write_text
from fairlead.errors import UserCodeError
from fairlead.heldout import LABELLED, MAX_ROWS, save_heldout, save_labelled
from fairlead.model.labelled import labelled_rows
from fairlead.model.persist import copy_code, new_folder, save
from fairlead.model.requests import example_requests
from fairlead.model.result import Result
from fairlead.model.rows import request_columns
from fairlead.records import Candidate, Dataset, Workspace
from fairlead.schema.answers import answers_of
from fairlead.stats.predictions import called, profile_of_answers


def write_candidate(workspace: Workspace, dataset: Dataset, result: Result, out: Path) -> Candidate:
    """Write the folder *out*; what was there is replaced.

    Raises:
        UserCodeError: skops cannot save the model, or what it saves answers differently.
    """
    saved = save(result.trained.pipeline, workspace.root)
    expected = _answers_again(saved.again, result)
    with new_folder(out) as folder:
        (folder / "model.skops").write_bytes(saved.content)
        if saved.trusted:
            copy_code(workspace.root, folder / "code")
        kept = evenly(len(result.test), MAX_ROWS)
        save_heldout(folder / "heldout.npz", result.test.batch.take(kept), expected[kept])
        if workspace.project.serve.compress is not None:
            save_labelled(folder / LABELLED, labelled_rows(workspace, dataset, result))
        pq.write_table(_predictions(result), folder / "predictions.parquet")
        write_text(folder / "schema.json", result.trained.schema.to_json())
        write_text(folder / "evaluation.json", result.evaluation.to_json())
        write_text(folder / "profile.json", _profile(Path(dataset.path), result))
        schema = result.trained.schema
        columns = request_columns(Path(dataset.path), schema)
        write_text(folder / "examples.json", example_requests(schema, columns))
        candidate = _record(workspace, dataset, result, saved.trusted, out)
        # Folders travel: whoever opens the record says where it is, and its bytes depend on the model only.
        write_text(folder / Candidate.FILE, dataclasses.replace(candidate, path=".").to_json())
    return candidate


def _record(
    workspace: Workspace, dataset: Dataset, result: Result, trusted: tuple[str, ...], out: Path
) -> Candidate:
    return Candidate(
        path=str(out),
        name=result.trained.trial.candidate,
        parameters=result.trained.trial.parameters,
        metrics=result.evaluation.figures,
        baseline=result.evaluation.baseline,
        gates=[dataclasses.asdict(gate) for gate in result.gates],
        trusted=trusted,
        dataset=dataset.digest,
        project=workspace.digest,
    )


def _answers_again(pipeline: Any, result: Result) -> NDArray[np.float64]:
    """The answers of the model as it was saved; a class whose state skops loses would serve something else."""
    again = answers_of(pipeline, result.trained.schema.output.task, result.test.array)
    if not np.array_equal(again, result.answers, equal_nan=True):
        raise UserCodeError(
            f"skops cannot save {result.trained.trial.candidate}: the saved model answers differently",
            hint="Keep all that fit learns in attributes that end in an underscore, and nothing in globals.",
        )
    return again


def evenly(rows: int, most: int) -> NDArray[np.intp]:
    """At most *most* row positions, spread evenly.

    >>> evenly(5, 3).tolist()
    [0, 2, 4]
    """
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.intp))


def _predictions(result: Result) -> pa.Table:
    """One line a test row: what tells it apart, what was true, what was called, and the answers behind the call."""
    test, output = result.test, result.trained.schema.output
    columns = {
        "row": pa.array(test.row),
        **{name: pa.array(values) for name, values in test.identity.items()},
    }
    if output.task != "clustering":
        columns["actual"] = pa.array(test.actual)
    columns["predicted"] = pa.array(called(output, result.answers))
    if output.task == "classification":
        columns |= {
            f"probability.{name}": pa.array(result.answers[:, k]) for k, name in enumerate(output.classes)
        }
    return pa.table(columns)


def _profile(dataset: Path, result: Result) -> str:
    """Features of the training rows and predictions on the test rows, for comparing with what is served."""
    features = json.loads((dataset / "profile.json").read_text(encoding="utf-8"))
    predictions = json.loads(profile_of_answers(result.trained.schema.output, result.answers).to_json())
    record = {"features": features, "predictions": predictions}
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
