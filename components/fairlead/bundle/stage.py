"""Candidate to Bundle: export with parity, lay out, build the Bento, attest, verify, load-test, keep, register. In this order.

Registering is the last act: whatever fails before it leaves nothing that could be served.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fairlead.atomic import publish_folder, write_text
from fairlead.bundle.accelerator import write_accelerator
from fairlead.bundle.attestations import write_attestations
from fairlead.bundle.batching import Decision, consider
from fairlead.bundle.compress.trial import compressed
from fairlead.bundle.digest import lock_digest
from fairlead.bundle.exports import Export, export, read_trained, table_of
from fairlead.bundle.layout import FORMAT_VERSION, Contents, requirements_of, write_source
from fairlead.bundle.load.gate import load_gate
from fairlead.bundle.page import bundle_page, parity_markdown
from fairlead.bundle.serving import serving_record
from fairlead.bundle.verify import ATTESTATIONS, BENTO, CONTENTS, other_files, verify
from fairlead.records import (
    Answer,
    BentoBuilder,
    Bundle,
    Candidate,
    OpenModel,
    ParityResult,
    Progress,
    Registry,
    StartUnderLoad,
    Store,
    Tracker,
    Workspace,
)
from fairlead.schema import Batch

KIND = "bundles"
"""What bundles are called in the store."""


def run(
    workspace: Workspace,
    candidate: Candidate,
    builder: BentoBuilder,
    open_model: OpenModel,
    start_under_load: StartUnderLoad,
    store: Store,
    registry: Registry,
    tracker: Tracker,
    progress: Progress,
    out: Path,
    page: Path,
) -> Bundle:
    """Make the candidate's bundle, keep it and register it.

    Args:
        workspace: The project.
        candidate: A trained model whose gates have passed.
        builder: Makes the Bento.
        open_model: Opens an exported model by the code that will serve it.
        start_under_load: Serves a finished bundle; only where the project asks how much load it bears.
        store: Keeps bundles by digest; one that is there already is taken, not built again.
        registry: Where the bundle becomes a version.
        tracker: The stage's run.
        progress: What a person watching sees.
        out: The bundle's folder; replaced if it exists.
        page: HTML file for people.

    Raises:
        ExportError: No format answers as the trained model does, or the Bento cannot be built.
        GateFailed: The finished bundle bears less load than the project asks for.
        IntegrityError: The candidate's folder, or the finished bundle, is not what it claims to be.
    """
    started = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="fairlead-bundle-") as scratch:
        candidate, exported = _export(workspace, candidate, open_model, progress, Path(scratch))
        decision = _batching(workspace, candidate, exported, open_model, progress)
        source = Path(scratch) / "source"
        manifest = write_source(_contents(workspace, candidate, exported, decision), source)
        bundle = _record(candidate, exported, manifest, out)
        if store.has(KIND, bundle.digest):
            progress.note(
                f"bundle {bundle.digest[:16]} is in the store already: the same model, code and data"
            )
            _take(store, bundle.digest, out)
        else:
            progress.note(f"building Bento {bundle.name}:{bundle.digest[:16]}")
            provenance = _provenance(workspace, candidate, manifest, tracker, started)
            _assemble(builder, source, bundle, candidate, provenance, decision, out)
    bundle = dataclasses.replace(verify(out), path=str(out))
    load_gate(workspace.project.serve, bundle, start_under_load, progress)
    bundle = dataclasses.replace(bundle, uri=store.put(KIND, bundle.digest, out))
    write_text(out / Bundle.FILE, bundle.to_json())
    _log(tracker, bundle, manifest, page)
    version = registry.register(
        bundle, tracker.run_id, candidate.metrics, _tags(workspace, candidate, manifest)
    )
    progress.note(
        f"registered {bundle.name} version {version.version} ({', '.join(version.aliases) or 'no alias'})"
    )
    return bundle


def parity_table(bundle: Bundle) -> str:
    """The bundle's parity table as Markdown."""
    return parity_markdown([ParityResult(**row) for row in bundle.parity])


def _export(
    workspace: Workspace, candidate: Candidate, open_model: OpenModel, progress: Progress, scratch: Path
) -> tuple[Candidate, Export]:
    """The model as it will be served: as it was trained, or smaller where the project's rule finds one that is as good."""
    folder = scratch / "model"
    folder.mkdir()
    exported = export(read_trained(Path(candidate.path), candidate.trusted), folder, open_model)
    for line in table_of(exported.parity).splitlines():
        progress.note(line)
    return compressed(
        workspace, candidate, exported, open_model, progress, scratch / "compress", time.perf_counter
    )


def _batching(
    workspace: Workspace, candidate: Candidate, exported: Export, open_model: OpenModel, progress: Progress
) -> Decision | None:
    """Whether requests are scored together; None if the project does not ask."""

    def opened() -> tuple[Answer, Batch]:
        trained = read_trained(Path(candidate.path), candidate.trusted)
        answers = open_model(exported.format, exported.file, trained.schema, exported.trusted, trained.code)
        return answers, trained.heldout

    decision = consider(workspace.project.serve, opened, time.perf_counter)
    if decision is not None:
        progress.note(f"batching {'off' if decision.batching is None else 'on'}: {decision.reason}")
    return decision


def _contents(
    workspace: Workspace, candidate: Candidate, exported: Export, decision: Decision | None
) -> Contents:
    return Contents(
        name=workspace.project.name,
        format=exported.format,
        model=exported.file,
        candidate=Path(candidate.path),
        trusted=exported.trusted,
        dataset=candidate.dataset,
        requirements=requirements_of(exported.format),
        serving=serving_record(workspace.project.serve, decision.entry if decision else None),
    )


def _record(candidate: Candidate, exported: Export, manifest: Mapping[str, Any], out: Path) -> Bundle:
    return Bundle(
        path=str(out),
        name=manifest["name"],
        digest=manifest["digest"],
        format=exported.format,
        parity=[dataclasses.asdict(result) for result in exported.parity],
        candidate=candidate.name,
        dataset=candidate.dataset,
        format_version=FORMAT_VERSION,
    )


def _provenance(
    workspace: Workspace,
    candidate: Candidate,
    manifest: Mapping[str, Any],
    tracker: Tracker,
    started: datetime,
) -> dict[str, Any]:
    return {
        "digest": manifest["digest"],
        "project": workspace.digest,
        "dataset": candidate.dataset,
        "lock": lock_digest(manifest["requirements"]),
        "run": tracker.run_id,
        "started": started.isoformat(timespec="seconds"),
        "built": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _assemble(
    builder: BentoBuilder,
    source: Path,
    bundle: Bundle,
    candidate: Candidate,
    provenance: Mapping[str, Any],
    decision: Decision | None,
    out: Path,
) -> None:
    """Build the bundle's folder beside *out*, and rename it when it is complete."""
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    builder.build(bundle.name, bundle.digest[:16], source, unfinished / BENTO)
    measured = decision.record() if decision else None
    write_attestations(unfinished / ATTESTATIONS, candidate, provenance, bundle.parity, measured)
    write_accelerator(unfinished / ATTESTATIONS, source)
    (unfinished / Bundle.FILE).write_text(bundle.to_json(), encoding="utf-8")
    listed = json.dumps(other_files(unfinished), sort_keys=True, indent=1) + "\n"
    (unfinished / CONTENTS).write_text(listed, encoding="utf-8")
    publish_folder(unfinished, out)


def _take(store: Store, digest: str, out: Path) -> None:
    """Have the store's bundle at *out*."""
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    store.get(KIND, digest, unfinished)
    publish_folder(unfinished, out)


def _log(tracker: Tracker, bundle: Bundle, manifest: Mapping[str, Any], page: Path) -> None:
    write_text(page, bundle_page(bundle, manifest))
    tracker.params({"format": bundle.format, "candidate": bundle.candidate})
    tracker.tags({"fairlead.bundle": bundle.digest, "fairlead.format": bundle.format})
    differences = {f"parity.{row['format']}": row["max_difference"] for row in bundle.parity}
    tracker.metrics({name: value for name, value in differences.items() if value is not None})
    tracker.artifact(page)
    tracker.artifact(Path(bundle.path) / ATTESTATIONS, ATTESTATIONS)


def _tags(workspace: Workspace, candidate: Candidate, manifest: Mapping[str, Any]) -> dict[str, str]:
    return {
        "fairlead.candidate": candidate.name,
        "fairlead.data": candidate.dataset,
        "fairlead.code": workspace.digest,
        "fairlead.owner": workspace.project.problem.owner,
        "fairlead.format": manifest["format"],
    }
