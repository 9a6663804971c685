"""One task's connection to its surroundings: opened when the task starts, closed with its outcome."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead.adapters import archives
from fairlead.adapters.progress import EventProgress
from fairlead.adapters.settings import STATE_FOLDER, Settings, require_in_task
from fairlead.adapters.store import open_store
from fairlead.errors import FairleadError, ServiceError
from fairlead.records import Workspace

if TYPE_CHECKING:
    from fairlead.adapters.registry import MlflowRegistry
    from fairlead.adapters.store import AnyStore
    from fairlead.adapters.tracking import MlflowTracker
    from fairlead.records import Answer, BentoBuilder, Champion, LoadTarget, Source
    from fairlead.schema import Schema


@dataclass(frozen=True)
class Connection:
    """What a stage is handed. Adapters are made when they are first asked for."""

    stage: str
    settings: Settings
    workspace: Workspace

    @cached_property
    def progress(self) -> EventProgress:
        """Where the stage says what it does."""
        return EventProgress(self.stage)

    @cached_property
    def store(self) -> AnyStore:
        """Snapshots and bundles."""
        return open_store(self.settings.store)

    @cached_property
    def tracker(self) -> MlflowTracker:
        """The MLflow run of this task."""
        from fairlead.adapters.tracking import MlflowTracker

        return MlflowTracker.open(self.settings, self.workspace, self.stage)

    @cached_property
    def registry(self) -> MlflowRegistry:
        """Registered versions of the project's model."""
        from fairlead.adapters.registry import MlflowRegistry

        return MlflowRegistry(self.settings)

    @cached_property
    def builder(self) -> BentoBuilder:
        """Builds Bentos in a private BentoML home."""
        from fairlead.adapters.bentos import BentomlBuilder

        return BentomlBuilder()

    def open_model(
        self, kind: str, file: Path, schema: Schema, trusted: Sequence[str], code: Path | None
    ) -> Answer:
        """Open an exported model with the very back end that serves it."""
        from fairlead.serve.backends import open_backend

        return open_backend(kind, file, schema, trusted, code)

    def start_under_load(self, bundle: Path) -> AbstractContextManager[LoadTarget]:
        """Serve the bundle in a folder, with a generator of requests beside it, for as long as the context lasts."""
        from fairlead.adapters.load import serving

        return serving(bundle)

    def champion(self) -> Champion | None:
        """The model that serves now, ready to answer; None while there is none."""
        version = self.registry.champion(self.workspace.project.name)
        if version is None:
            return None
        from fairlead.adapters.bentos import open_bundle

        return open_bundle(version, self.store)

    def close_failed(self, error: BaseException) -> None:
        """Write *error* to the task's run, if MLflow can be reached: otherwise *error* is the one to see."""
        if isinstance(error, ServiceError) and "tracker" not in vars(self):
            return  # MLflow was waited for in vain already
        with suppress(ServiceError):
            self.tracker.close(error)

    def source(self) -> Source:
        """The project's raw rows."""
        from fairlead.adapters.sources import open_source

        return open_source(self.workspace.project.data.source, self.workspace.source_root)


@contextmanager
def connect(stage: str, project: str, source_root: str = "") -> Iterator[Connection]:
    """Open the project archive and the stage's MLflow run; close the run with the outcome of the block.

    Args:
        stage: Names the MLflow run and prefixes its parameters.
        project: The pipeline's ``project`` value, an archive with its digest.
        source_root: What a relative ``data.source.uri`` is relative to.

    Raises:
        FairleadError: Whatever the block raises; the reason is also the last line of the log, because a pipeline backend keeps
            the log and loses the exception.
    """
    settings = Settings.from_environment(os.environ, Path(STATE_FOLDER))
    with tempfile.TemporaryDirectory(prefix="fairlead-") as scratch:
        try:
            require_in_task(os.environ)
            workspace = archives.unpack(project, Path(scratch), Path(source_root) if source_root else None)
            connection = Connection(stage, settings, workspace)
            try:
                yield connection
            except BaseException as error:
                connection.close_failed(error)
                raise
            connection.tracker.close(None)
        except FairleadError as error:
            _leave_reason(settings, stage, error)
            raise


def _leave_reason(settings: Settings, stage: str, error: FairleadError) -> None:
    if settings.failure_file is not None:
        settings.failure_file.write_text(error.to_json(), encoding="utf-8")
    print(f"fairlead: {stage} failed: {error}", file=sys.stderr, flush=True)  # noqa: T201
