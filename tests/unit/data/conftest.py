"""Small projects, and surroundings that remember what they were told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead.adapters.sources import open_source
from fairlead.adapters.store import FolderStore
from fairlead.data import stage
from fairlead.data.report import Report
from fairlead.records import Dataset, Workspace
from fairlead.spec import Contract, Project, parse_contract, parse_project


@dataclass
class Recorder:
    """A tracker that keeps everything in dictionaries."""

    run_id: str = "run"
    logged: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    samples: list[Any] = field(default_factory=list)

    def params(self, values: Mapping[str, Any]) -> None:
        self.logged.update(values)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        self.logged.update(values)

    def tags(self, values: Mapping[str, str]) -> None:
        self.logged.update(values)

    def artifact(self, path: Path, folder: str = "") -> None:
        self.files.append(path.name)

    def dataset(self, record: Dataset, sample: Any, context: str) -> None:
        self.samples.append(sample)

    def trial(
        self, study: str, number: int, parameters: Mapping[str, Any], value: float | None, seconds: float
    ) -> None:
        raise AssertionError("the data stage has no trials")


@dataclass
class Watcher:
    """A progress that keeps its notes."""

    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    @contextmanager
    def bar(self, text: str, total: int | None) -> Iterator[Callable[[int], None]]:
        yield lambda steps: None


def project_of(task: str = "classification", **data: Any) -> Project:
    """A project with this ``data`` part."""
    source = data.pop("source", {"kind": "csv", "uri": "rows.csv"})
    raw: dict[str, Any] = {
        "apiVersion": "fairlead/v1",
        "name": "small",
        "problem": {"statement": "Test", "owner": "tests"},
        "data": {"source": source, **data},
        "model": {"task": task, "candidates": ["any"]},
    }
    return parse_project(yaml.safe_dump(raw))


def contract_of(columns: Mapping[str, Mapping[str, Any]], **entries: Any) -> Contract:
    """A contract with these columns."""
    raw = {
        "apiVersion": "fairlead.contract/v1",
        "columns": {k: dict(v) for k, v in columns.items()},
        **entries,
    }
    return parse_contract(yaml.safe_dump(raw, sort_keys=False))


@dataclass
class Made:
    """A dataset and what was said about it."""

    dataset: Dataset
    report: Report
    tracker: Recorder
    progress: Watcher
    page: str

    @property
    def path(self) -> Path:
        return Path(self.dataset.path)


class Bench:
    """A project folder in which the data stage can be run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = FolderStore(root / "store")

    def write(self, text: str, name: str = "rows.csv") -> None:
        (self.root / name).write_text(text)

    def run(self, project: Project, contract: Contract, out: str = "out/dataset") -> Made:
        tracker, progress = Recorder(), Watcher()
        workspace = Workspace(self.root, project, contract, "", self.root)
        source = open_source(project.data.source, self.root)
        page = self.root / "out" / "page.html"
        dataset = stage.run(workspace, source, self.store, tracker, progress, self.root / out, page)
        report = Report.from_json((Path(dataset.path) / "report.json").read_bytes())
        return Made(dataset, report, tracker, progress, page.read_text())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)
