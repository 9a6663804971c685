"""What passes between stages, and what stages ask of the outside world.

Records are frozen and have a JSON form, because between two stages lies a process, a container or a night. Protocols are
the few things a stage asks of its surroundings; ``fairlead.adapters`` fulfils them, and tests fulfil them with a
dictionary.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from fairlead.errors import IntegrityError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from fairlead.schema import Batch, Output, Schema
    from fairlead.spec import Contract, Project


class JsonRecord:
    """A frozen dataclass that can be written to JSON and read back."""

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no NaN, one trailing line feed."""
        record = dataclasses.asdict(self)  # type: ignore[call-overload]
        return json.dumps(record, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The inverse of :meth:`to_json`, for records whose fields are plain."""
        return cls(**json.loads(text))


class FolderRecord(JsonRecord):
    """A record that stands in the folder it describes."""

    FILE: ClassVar[str]
    """Name of the record's file in the folder."""

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Read the record of *folder*. Its ``path`` becomes *folder*, because folders travel between machines.

        Raises:
            IntegrityError: The folder holds no such record, or one that cannot be read, so it is not what it is taken for.
        """
        try:
            text = (Path(folder) / cls.FILE).read_text(encoding="utf-8")
        except OSError as cause:
            raise IntegrityError(f"{folder} is no {cls.__name__.lower()}: it has no {cls.FILE}") from cause
        try:
            return cls(**(json.loads(text) | {"path": str(folder)}))
        except (ValueError, TypeError) as cause:
            raise IntegrityError(
                f"{Path(folder) / cls.FILE} is no {cls.__name__.lower()} that this version reads: {cause}"
            ) from cause


# ---------------------------------------------------------------------------------------------- data → model


@dataclass(frozen=True, slots=True)
class Dataset(FolderRecord):
    """A snapshot: cleaned, split, named by content.

    The folder ``path`` holds ``train.parquet``, ``valid.parquet``, ``test.parquet`` (canonical columns, uniform values),
    ``quarantine.parquet`` (rows that broke the contract, with ``_reason``), ``schema.json``
    (:class:`~fairlead.schema.Schema`), ``profile.json`` (training rows, a :class:`~fairlead.stats.profile.Profile`),
    ``report.json`` (what was read, refused, changed, flagged and why) and ``dataset.json`` (this record).
    """

    FILE: ClassVar[str] = "dataset.json"

    path: str
    digest: str
    """SHA-256 over the content of the splits, the schema and the profile, hexadecimal."""
    source: str
    """Where the rows came from, for people and for ``mlflow.log_input``."""
    rows: Mapping[str, int]
    """Rows by split: train, valid, test, and quarantined."""


# -------------------------------------------------------------------------------------------- model → bundle


class Outcome(StrEnum):
    """How a gate ended. Only *passed* and *not applicable* let a model through."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_MEASURABLE = "not measurable"
    NOT_APPLICABLE = "not applicable"

    @property
    def lets_through(self) -> bool:
        """Whether a model may be registered as far as this gate is concerned."""
        return self in (Outcome.PASSED, Outcome.NOT_APPLICABLE)


@dataclass(frozen=True, slots=True)
class GateResult(JsonRecord):
    """One gate, judged. ``measured`` and ``bar`` are None where there is nothing to compare."""

    gate: str
    """The gate in words: ``roc_auc at least 0.8``."""
    outcome: Outcome
    reason: str
    measured: float | None = None
    bar: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate(FolderRecord):
    """A trained model that has been evaluated.

    The folder ``path`` holds ``model.skops`` (the fitted pipeline, input :meth:`fairlead.schema.Batch.as_array`), ``schema.json``
    (with classes, positive class and threshold), ``evaluation.json``, ``heldout.npz`` (``numbers`` float32, ``text_0`` …, at most
    5,000 encoded test rows, and the model's answers ``expected``), ``predictions.parquet`` (test rows with what was true and what
    was predicted), ``profile.json`` (of features and of predictions), ``examples.json`` (valid request rows), ``code/`` (the
    project's own package, if the model needs it), ``labelled.npz`` (with ``serve.compress``: training, validation and test rows
    and what was true of them, :mod:`fairlead.heldout`) and ``candidate.json`` (this record).
    """

    FILE: ClassVar[str] = "candidate.json"

    path: str
    name: str
    """Short name of the candidate that won the search."""
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    """On the test rows."""
    baseline: Mapping[str, float]
    """The same metrics for the baseline."""
    gates: Sequence[Mapping[str, Any]]
    """:class:`GateResult` records as mappings."""
    trusted: Sequence[str]
    """Types in ``model.skops`` beyond skops' own list; each belongs to the project's own package."""
    dataset: str
    """Digest of the dataset."""
    project: str
    """Digest of the project archive."""


# ------------------------------------------------------------------------------------------- bundle → release


@dataclass(frozen=True, slots=True)
class ParityResult(JsonRecord):
    """How one format did against the trained model on held-out rows."""

    format: str
    outcome: str
    """``agrees``, ``disagrees``, ``not supported`` or ``not tried``."""
    max_difference: float | None
    rows: int
    reason: str


@dataclass(frozen=True, slots=True)
class Bundle(FolderRecord):
    """A Bento with its schema, reference profile and evidence, named by what changes predictions or runtime.

    The folder ``path`` holds ``bundle.json`` (this record), ``bento/`` (the built Bento; model, schema and reference are in its
    ``src/``) and ``attestations/`` (what names the digest but does not change it).
    """

    FILE: ClassVar[str] = "bundle.json"

    path: str
    name: str
    digest: str
    """SHA-256, hexadecimal. The Bento's version is its first 16 digits."""
    format: str
    """onnx, treelite or skops."""
    parity: Sequence[Mapping[str, Any]]
    candidate: str
    dataset: str
    uri: str = ""
    """Where the store keeps it."""
    format_version: int = 1


# ------------------------------------------------------------------------------------------------- registry


@dataclass(frozen=True, slots=True)
class ModelVersion(JsonRecord):
    """One registered version of a model."""

    name: str
    version: int
    digest: str
    uri: str
    aliases: Sequence[str]
    run_id: str
    created: str
    """UTC, ISO 8601."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


# ----------------------------------------------------------------------------------------- surroundings


@dataclass(frozen=True, slots=True)
class Workspace:
    """A project as a stage sees it: unpacked, verified, read."""

    root: Path
    """Folder with the project file and the project's own package."""
    project: Project
    contract: Contract
    digest: str
    """SHA-256 of the project archive's content."""
    source_root: Path | None = None
    """What a relative source path is relative to (a laptop only; on a cluster sources are absolute)."""


class Source(Protocol):
    """Raw rows in pieces of bounded size."""

    description: str

    def fingerprint(self) -> str | None:
        """A digest that changes whenever the rows may have changed; None if only reading can tell (SQL)."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows in a stable order, in batches of at most some 64 MiB, raw types. Raises DataError."""


class Store(Protocol):
    """Content-addressed folders and files: snapshots, archives, bundles."""

    def has(self, kind: str, digest: str) -> bool:
        """Whether a complete object of this name is there."""

    def get(self, kind: str, digest: str, to: Path) -> None:
        """Copy (or link) the object to the folder *to*. Raises NotFound, IntegrityError."""

    def put(self, kind: str, digest: str, folder: Path) -> str:
        """Keep *folder* under this name, atomically, and return its URI. Keeping it twice is no error."""

    def uri(self, kind: str, digest: str) -> str:
        """The URI that :meth:`put` returns for this name."""


class Tracker(Protocol):
    """Where a stage writes down what it did. One tracker is one run."""

    run_id: str

    def params(self, values: Mapping[str, Any]) -> None:
        """Inputs of the stage; names get the stage's prefix, because KFP logs its own."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Figures."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Facts to search by."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """A file, or a folder with all in it."""

    def dataset(self, record: Dataset, sample: pd.DataFrame, context: str) -> None:
        """The data that went in (``mlflow.log_input``)."""

    def trial(
        self, study: str, number: int, parameters: Mapping[str, Any], value: float | None, seconds: float
    ) -> None:
        """One finished trial of a search; value None means it failed."""


Answer = Callable[["Batch"], "NDArray[np.float64]"]
"""Encoded rows to answers, in the shape of ``fairlead.schema.answers``."""

OpenModel = Callable[[str, Path, "Schema", Sequence[str], "Path | None"], Answer]
"""Opens an exported model: format, file, schema, trusted types, folder of the project's own code."""


class Champion(Protocol):
    """The model that serves now, ready to answer for a comparison."""

    version: ModelVersion
    output: Output

    def answers(self, columns: Mapping[str, Sequence[Any]]) -> NDArray[np.float64]:
        """Answer raw columns; they are encoded by the champion's own schema. Raises IntegrityError if it cannot."""


class BentoBuilder(Protocol):
    """Builds Bentos."""

    def build(self, name: str, version: str, source: Path, out: Path) -> None:
        """Build the Bento *name*:*version* of the folder *source* (``bentofile.yaml`` inside) and leave it at *out*."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadRound:
    """What came of requests that were due at times fixed beforehand. Times are seconds from the round's begin."""

    due: NDArray[np.float64]
    """(requests,) ascending."""
    noticed: NDArray[np.float64]
    """When the generator got round to each; what is late here is not the server's doing. NaN: the round was given up before."""
    done: NDArray[np.float64]
    """When the valid answer was complete; NaN where none came."""
    cpu_seconds: float
    """CPU time of the server's processes."""
    memory_bytes: int
    """Memory of the server's processes at the end, shared pages counted once where the system says so."""
    memory_at: NDArray[np.float64]
    memory_samples: NDArray[np.float64]
    """Resident bytes at these times, about one a second."""


class LoadTarget(Protocol):
    """A server with a generator of requests."""

    machine: Mapping[str, Any]
    """Where it runs."""

    def drive(self, due: NDArray[np.float64], patience: float) -> LoadRound:
        """Send a request at each of the times *due*; give up when one has waited *patience* seconds.

        Raises ServiceError if the server or the generator has died.
        """


StartUnderLoad = Callable[[Path], AbstractContextManager[LoadTarget]]
"""Serves the bundle in a folder, for as long as the context lasts."""


class Registry(Protocol):
    """Named versions of models, with aliases."""

    def champion(self, name: str) -> ModelVersion | None:
        """The version that serves, if any."""

    def versions(self, name: str) -> Sequence[ModelVersion]:
        """All versions, newest first."""

    def register(
        self, bundle: Bundle, run_id: str, metrics: Mapping[str, float], tags: Mapping[str, str]
    ) -> ModelVersion:
        """Register a bundle: the first one becomes champion, later ones challenger. The same digest again is the same version."""

    def promote(self, name: str, version: int, *, by: str, why: str) -> ModelVersion:
        """Make a version the champion, and record who did it and why."""


class Progress(Protocol):
    """What a person watching sees."""

    def note(self, text: str) -> None:
        """One line about what is going on or what was found."""

    def bar(self, text: str, total: int | None) -> AbstractContextManager[Any]:
        """A bar for long work; the context's value is called with the number of steps done since the last call."""
