"""The data stage: joins the passes with the source, the store and the tracker it is handed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from fairlead.atomic import publish_folder, write_text
from fairlead.data.divide import divide
from fairlead.data.ingest import ROW, Ingested, ingest
from fairlead.data.leaks import check_leaks
from fairlead.data.page import page as page_of
from fairlead.data.quarantine import Quarantine
from fairlead.data.report import LeakCheck, Report, SplitReport
from fairlead.data.roles import Roles, roles_of
from fairlead.data.schema_of import schema_of
from fairlead.data.series import check_series, write_series
from fairlead.data.snapshot import digest_of, recipe_of
from fairlead.data.split import SPLITS
from fairlead.data.survey import Surveyed, survey
from fairlead.errors import IntegrityError, ServiceError
from fairlead.records import Dataset, Progress, Source, Store, Tracker, Workspace
from fairlead.schema import Schema
from fairlead.stats.profile import Profile

SNAPSHOTS, RECIPES = "snapshots", "recipes"
_ACCOUNT = ("report.json", "quarantine.parquet")
"""What a recipe keeps for itself: two recipes may lead to the same rows and still have refused different ones."""
_SAMPLE_ROWS = 1_000


def run(
    workspace: Workspace,
    source: Source,
    store: Store,
    tracker: Tracker,
    progress: Progress,
    out: Path,
    page: Path,
) -> Dataset:
    """Make the dataset of a project, or fetch it if it was made before.

    Args:
        workspace: The project and its contract.
        source: The raw rows.
        store: Keeps snapshots by content and recipes by what they are made of.
        tracker: Takes parameters, figures, the dataset and the page.
        progress: What a person sees meanwhile.
        out: Folder of the dataset, as :class:`~fairlead.records.Dataset` lays it out. Replaced if it exists.
        page: HTML file for people.

    Raises:
        ProjectError: Names or types in the project file and the contract do not fit together.
        DataError: The source cannot be read, or what it holds cannot be used.
        LeakError: The model would see what it must predict.
        IntegrityError: The store's snapshot was changed after it was written.
        ServiceError: A database, an object store or the disk fails.
    """
    project, contract = workspace.project, workspace.contract
    roles = roles_of(project, contract)
    fingerprint = source.fingerprint()
    recipe = recipe_of(fingerprint, project, contract) if fingerprint else None
    with _unfinished(out) as folder, _unfinished(out.with_name(f"{out.name}.scratch")) as scratch:
        if not _fetched(store, recipe, folder, scratch, progress):
            _make(workspace, roles, source, folder, scratch, progress)
            _keep(store, recipe, folder, scratch)
        report = Report.from_json((folder / "report.json").read_bytes())
        dataset = _record(folder, out, report)
        write_text(folder / "dataset.json", dataset.to_json())
        profile = Profile.from_json((folder / "profile.json").read_bytes())
        write_text(page, page_of(project.name, dataset.digest, report, profile))
        publish_folder(folder, out)
    _log(tracker, workspace, roles, dataset, report, page, fingerprint)
    progress.note(_summary(dataset))
    return dataset


# ------------------------------------------------------------------------------------------------- the passes


def _make(
    workspace: Workspace, roles: Roles, source: Source, folder: Path, scratch: Path, progress: Progress
) -> None:
    """Write everything but ``dataset.json`` to *folder*."""
    project, contract = workspace.project, workspace.contract
    folder.mkdir()
    scratch.mkdir()
    with Quarantine(folder / "quarantine.parquet", list(contract.columns)) as quarantine:
        with progress.bar("rows read", None) as advance:
            ingested = ingest(
                source.batches(), contract, roles, project.data.clean, quarantine, scratch, advance
            )
        surveyed = survey(ingested, roles, project.data.clean, project.data.split)
        schema, profile, split, notes, leaks = _divided(
            workspace, roles, ingested, surveyed, quarantine, folder, scratch, progress
        )
        report = _report(source, ingested, surveyed, quarantine, split, leaks, notes)
    (folder / "schema.json").write_text(schema.to_json(), encoding="utf-8")
    (folder / "profile.json").write_text(profile.to_json(), encoding="utf-8")
    (folder / "report.json").write_text(report.to_json(), encoding="utf-8")


def _divided(
    workspace: Workspace,
    roles: Roles,
    ingested: Ingested,
    surveyed: Surveyed,
    quarantine: Quarantine,
    folder: Path,
    scratch: Path,
    progress: Progress,
) -> tuple[Schema, Profile, SplitReport, tuple[str, ...], list[LeakCheck]]:
    """Write the splits and check them: rows, or for a forecast series."""
    project, contract, data = workspace.project, workspace.contract, workspace.project.data
    if data.series is not None:
        with progress.bar("rows summed", ingested.read) as advance:
            regular = write_series(ingested, surveyed, roles, data.series, data.split, folder, advance)
        schema = schema_of(project, contract, roles, {}, regular.shape)
        return schema, regular.profile, regular.split, regular.notes, check_series(folder)
    with progress.bar("rows divided", ingested.read) as advance:
        divided = divide(ingested, surveyed, contract, roles, quarantine, folder, advance)
    with progress.bar("rows checked for leaks", sum(divided.rows.values())) as advance:
        leaks, spilled = check_leaks(folder, contract, roles, scratch, advance)
    progress.note(f"{(spilled + ingested.spilled) / 1e6:,.1f} MB of hashes on disk, now removed")
    schema = schema_of(project, contract, roles, surveyed.classes)
    return schema, divided.profile, divided.split, divided.notes, leaks


def _report(
    source: Source,
    ingested: Ingested,
    surveyed: Surveyed,
    quarantine: Quarantine,
    split: SplitReport,
    leaks: list[LeakCheck],
    notes: tuple[str, ...],
) -> Report:
    gone = quarantine.rows + surveyed.duplicates + ingested.incomplete + surveyed.outlier_rows
    return Report(
        source=source.description,
        rows={
            "read": ingested.read,
            "kept": ingested.read - gone,
            "quarantined": quarantine.rows,
            "duplicates": surveyed.duplicates,
            "incomplete": ingested.incomplete,
            "outliers": surveyed.outlier_rows,
        },
        changes=ingested.changes,
        reasons=tuple(quarantine.reasons()),
        outliers=surveyed.outliers,
        split=split,
        leaks=tuple(leaks),
        dropped_columns=ingested.dropped_columns,
        notes=notes,
    )


# --------------------------------------------------------------------------------------------- store and disk


def _fetched(store: Store, recipe: str | None, folder: Path, scratch: Path, progress: Progress) -> bool:
    """Whether the store had the snapshot that *recipe* makes; then it is in *folder* now."""
    if recipe is None or not store.has(RECIPES, recipe):
        return False
    store.get(RECIPES, recipe, scratch)
    digest = json.loads((scratch / "recipe.json").read_bytes())["snapshot"]
    if not store.has(SNAPSHOTS, digest):
        shutil.rmtree(scratch)
        return False
    store.get(SNAPSHOTS, digest, folder)
    if digest_of(folder) != digest:
        raise IntegrityError(
            f"the snapshot {digest[:16]} in the store does not hold what its name says",
            hint="Something changed it after it was written. Remove it from the store and run again.",
        )
    for name in _ACCOUNT:
        (scratch / name).replace(folder / name)
    progress.note(f"nothing new in the source: snapshot {digest[:16]} is used again")
    return True


def _keep(store: Store, recipe: str | None, folder: Path, scratch: Path) -> None:
    """Keep the snapshot, then the recipe: a recipe must never point at a snapshot that is not there."""
    digest = digest_of(folder)
    store.put(SNAPSHOTS, digest, folder)
    if recipe is None:
        return
    account = scratch / "recipe"
    account.mkdir()
    (account / "recipe.json").write_text(json.dumps({"snapshot": digest}) + "\n", encoding="utf-8")
    for name in _ACCOUNT:
        shutil.copy2(folder / name, account / name)
    store.put(RECIPES, recipe, account)


def _record(folder: Path, out: Path, report: Report) -> Dataset:
    rows = {**{name: report.split.rows[name] for name in SPLITS}, "quarantined": report.rows["quarantined"]}
    return Dataset(path=str(out), digest=digest_of(folder), source=report.source, rows=rows)


@contextmanager
def _unfinished(out: Path) -> Iterator[Path]:
    """A sibling of *out* to work in, which is not there yet; what an earlier, killed run left of it is removed."""
    folder = out.with_name(f".{out.name}.unfinished")
    try:
        shutil.rmtree(folder, ignore_errors=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        yield folder
    except OSError as cause:
        raise ServiceError(
            f"cannot write {out}: {cause.strerror or cause}",
            hint="Nothing was changed; free some space and run again.",
        ) from cause
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --------------------------------------------------------------------------------------------------- account


def _log(
    tracker: Tracker,
    workspace: Workspace,
    roles: Roles,
    dataset: Dataset,
    report: Report,
    page: Path,
    fingerprint: str | None,
) -> None:
    split = workspace.project.data.split
    tracker.params({
        "source": dataset.source, "fingerprint": fingerprint or "none", "snapshot": dataset.digest,
        "split": roles.split, "seed": split.seed, "valid": split.valid, "test": split.test,
    })  # fmt: skip
    tracker.metrics(
        {f"rows_{name}": float(count) for name, count in {**report.rows, **report.split.rows}.items()}
    )
    tracker.tags({"fairlead.data": dataset.digest})
    tracker.dataset(dataset, _sample(Path(dataset.path)), "training")
    tracker.artifact(page, "data")
    tracker.artifact(Path(dataset.path) / "report.json", "data")


def _sample(folder: Path) -> pd.DataFrame:
    with pq.ParquetFile(folder / "train.parquet") as file:
        first = next(file.iter_batches(_SAMPLE_ROWS))
    frame: pd.DataFrame = first.drop_columns([ROW] if ROW in first.schema.names else []).to_pandas()
    return frame


def _summary(dataset: Dataset) -> str:
    counts = ", ".join(f"{dataset.rows[name]:,} {name}" for name in (*SPLITS, "quarantined"))
    return f"snapshot {dataset.digest[:16]}: {counts}"
