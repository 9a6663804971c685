from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.bundle.queueing import Queue

from fairlead.adapters.store import FolderStore
from fairlead.bundle import stage
from fairlead.bundle.verify import CAPACITY, verify
from fairlead.errors import ExportError, GateFailed, IntegrityError
from fairlead.records import Bundle, ModelVersion
from fairlead.serve.backends import open_backend
from fairlead.serve.rules import read_rules
from fairlead.spec.serve import Serve


@dataclass
class Surroundings:
    """Everything the stage asks for, in a folder and a list of what happened."""

    root: Path
    events: list[str] = field(default_factory=list)
    fails: bool = False
    run_id: str = "run-1"
    serve: Serve = field(default_factory=Serve)
    service: float = 1e-3
    """Seconds that a server takes for a request in a load test."""

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.root / "store")

    # -- BentoBuilder

    def build(self, name: str, version: str, source: Path, out: Path) -> None:
        self.events.append(f"build {name}:{version}")
        if self.fails:
            raise ExportError("no space for a Bento")
        shutil.copytree(source, out / "src")
        (out / "bento.yaml").write_text(f"version: {version}\nbuilt: {len(self.events)}\n")

    # -- StartUnderLoad

    @contextlib.contextmanager
    def start_under_load(self, bundle: Path) -> Iterator[Queue]:
        self.events.append(f"serve {verify(bundle).digest[:16]}")
        yield Queue(self.service)

    # -- Registry

    def register(
        self, bundle: Bundle, run_id: str, metrics: Mapping[str, float], tags: Mapping[str, str]
    ) -> ModelVersion:
        self.events.append(f"register {bundle.digest[:16]} by {run_id}")
        return ModelVersion(bundle.name, 1, bundle.digest, bundle.uri, ("champion",), run_id, "now")

    # -- Tracker and Progress

    def params(self, values: Mapping[str, Any]) -> None: ...

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None: ...

    def tags(self, values: Mapping[str, str]) -> None: ...

    def artifact(self, path: Path, folder: str = "") -> None:
        assert path.exists()

    def note(self, text: str) -> None: ...

    def run(self, candidate: Any, out: str = "out") -> Bundle:
        project = SimpleNamespace(name="cancer", problem=SimpleNamespace(owner="clinic"), serve=self.serve)
        workspace: Any = SimpleNamespace(project=project, digest="p" * 64)
        here: Any = self
        return stage.run(
            workspace, candidate, here, open_backend, self.start_under_load, self.store, here, here, here,
            self.root / out, self.root / "page.html",
        )  # fmt: skip


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return Surroundings(tmp_path)


Candidates = Callable[[str], Any]


def test_the_bundle_is_complete_kept_and_registered(around: Surroundings, candidate_of: Candidates) -> None:
    bundle = around.run(candidate_of("linear"))
    assert verify(around.root / "out").digest == bundle.digest
    assert verify(around.store.path("bundles", bundle.digest)).digest == bundle.digest
    assert bundle.uri == around.store.path("bundles", bundle.digest).as_uri()
    assert around.events == [f"build cancer:{bundle.digest[:16]}", f"register {bundle.digest[:16]} by run-1"]


def test_a_bundle_that_is_in_the_store_is_not_built_again(
    around: Surroundings, candidate_of: Candidates
) -> None:
    first = around.run(candidate_of("linear"))
    again = around.run(candidate_of("linear"), out="again")
    assert again.digest == first.digest
    assert [event.split()[0] for event in around.events] == ["build", "register", "register"]
    assert verify(around.root / "again").digest == first.digest


def test_a_failed_build_registers_nothing_and_leaves_nothing(
    around: Surroundings, candidate_of: Candidates
) -> None:
    around.fails = True
    with pytest.raises(ExportError, match="no space"):
        around.run(candidate_of("linear"))
    assert [event.split()[0] for event in around.events] == ["build"]
    assert not (around.root / "out").exists()


def test_a_run_after_a_failed_one_succeeds(around: Surroundings, candidate_of: Candidates) -> None:
    around.fails = True
    with pytest.raises(ExportError):
        around.run(candidate_of("linear"))
    around.fails = False
    bundle = around.run(candidate_of("linear"))
    assert verify(around.root / "out").digest == bundle.digest


def test_a_damaged_bundle_in_the_store_is_not_registered(
    around: Surroundings, candidate_of: Candidates
) -> None:
    bundle = around.run(candidate_of("linear"))
    kept = around.store.path("bundles", bundle.digest) / "bento" / "src" / "bundle" / "schema.json"
    kept.write_text("{}")
    with pytest.raises(IntegrityError, match=r"schema\.json was changed"):
        around.run(candidate_of("linear"), out="again")
    assert [event.split()[0] for event in around.events] == ["build", "register"]


def test_attestations_name_the_digest_and_are_not_in_it(
    around: Surroundings, candidate_of: Candidates
) -> None:
    bundle = around.run(candidate_of("linear"))
    attestations = around.root / "out" / "attestations"
    provenance = json.loads((attestations / "provenance.json").read_text())
    assert provenance["digest"] == bundle.digest
    assert provenance["run"] == "run-1"
    assert {path.name for path in attestations.iterdir()} == {
        "accelerator.json", "candidate.json", "contents.json", "evaluation.json", "gates.json", "parity.json",
        "provenance.json",
    }  # fmt: skip
    manifest = json.loads((around.root / "out" / "bento" / "src" / "bundle" / "manifest.json").read_text())
    assert not any("attestations" in name for name in (*manifest["files"], *manifest["code"]))


def test_a_bundle_that_bears_the_load_is_kept_with_what_it_bears(
    around: Surroundings, candidate_of: Candidates
) -> None:
    around.serve = Serve.model_validate({"capacity": {"at_least": 500}})
    bundle = around.run(candidate_of("linear"))
    assert [event.split()[0] for event in around.events] == ["build", "serve", "register"]
    kept = json.loads((around.store.path("bundles", bundle.digest) / CAPACITY).read_text())
    assert kept["bundle"] == bundle.digest
    assert 500 < kept["rate"] < 1000
    assert verify(around.root / "out").digest == bundle.digest


def test_a_bundle_that_bears_too_little_is_neither_kept_nor_registered(
    around: Surroundings, candidate_of: Candidates
) -> None:
    around.serve = Serve.model_validate({"capacity": {"at_least": 5_000}})
    with pytest.raises(GateFailed, match="5,000 requests a second per pod"):
        around.run(candidate_of("linear"))
    assert [event.split()[0] for event in around.events] == ["build", "serve"]
    assert not (around.root / "store" / "bundles").exists()


def test_what_a_kept_bundle_bears_is_not_measured_again(
    around: Surroundings, candidate_of: Candidates
) -> None:
    around.serve = Serve.model_validate({"capacity": {"at_least": 500}})
    around.run(candidate_of("linear"))
    around.run(candidate_of("linear"), out="again")
    assert [event.split()[0] for event in around.events] == ["build", "serve", "register", "register"]


@pytest.mark.parametrize("kind", ["linear", "custom"])
def test_batching_is_decided_by_measurement_and_the_rule_is_in_the_bundle_with_its_evidence(
    around: Surroundings, candidate_of: Candidates, kind: str
) -> None:
    around.serve = Serve(batching="auto")
    bundle = around.run(candidate_of(kind))
    told = json.loads((around.root / "out" / "attestations" / "batching.json").read_text())
    rules = read_rules(around.root / "out" / "bento" / "src" / "bundle")
    assert told["digest"] == bundle.digest
    assert told["batching"] == (None if rules.batching is None else asdict(rules.batching))
    assert (rules.batching is not None) == (bundle.format == "skops")


def test_another_run_id_gives_the_same_bundle(tmp_path: Path, candidate_of: Candidates) -> None:
    one = Surroundings(tmp_path / "one", run_id="a")
    two = Surroundings(tmp_path / "two", run_id="b")
    for each in (one, two):
        each.root.mkdir()
    assert one.run(candidate_of("linear")).digest == two.run(candidate_of("linear")).digest


def test_the_page_shows_parity_files_and_how_to_serve(around: Surroundings, candidate_of: Candidates) -> None:
    bundle = around.run(candidate_of("categorical"))
    page = (around.root / "page.html").read_text()
    for expected in (
        bundle.digest,
        "disagrees",
        "bundle/model.treelite",
        "fairlead serve",
        "bentoml containerize",
    ):
        assert expected in page


def test_the_parity_table_is_markdown(around: Surroundings, candidate_of: Candidates) -> None:
    table = stage.parity_table(around.run(candidate_of("linear"))).splitlines()
    assert table[0].startswith("| format | outcome")
    assert [line.split(" | ")[1] for line in table[2:]] == ["agrees", "not tried", "not tried"]


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


@pytest.mark.parametrize(
    "name",
    [
        "bento/src/bundle/model.onnx", "bento/src/bundle/schema.json", "bento/src/bundle/reference/profile.json",
        "bento/src/fairlead/serve/app.py", "bento/src/service.py", "bento/bento.yaml", "attestations/provenance.json",
    ],
)  # fmt: skip
@pytest.mark.parametrize("harm", [append, Path.unlink], ids=["changed", "removed"])
def test_a_changed_or_missing_file_is_named(
    around: Surroundings, candidate_of: Candidates, name: str, harm: Callable[[Path], None]
) -> None:
    around.run(candidate_of("linear"))
    copy = around.root / "copy"
    shutil.copytree(around.root / "out", copy)
    harm(copy / name)
    with pytest.raises(IntegrityError, match=name):
        verify(copy)


def test_a_new_file_is_named(around: Surroundings, candidate_of: Candidates) -> None:
    around.run(candidate_of("linear"))
    (around.root / "out" / "bento" / "src" / "fairlead" / "extra.py").write_text("")
    with pytest.raises(IntegrityError, match=r"extra\.py does not belong"):
        verify(around.root / "out")


def change(path: Path, **changes: Any) -> None:
    record = json.loads(path.read_text()) | changes
    path.unlink()
    path.write_text(json.dumps(record))


def test_a_manifest_that_was_made_to_fit_does_not_fit_the_record(
    around: Surroundings, candidate_of: Candidates
) -> None:
    around.run(candidate_of("linear"))
    change(around.root / "out" / "bento" / "src" / "bundle" / "manifest.json", dataset="e" * 64)
    with pytest.raises(IntegrityError, match="its files give"):
        verify(around.root / "out")


@pytest.mark.parametrize("version", [0, 2, 99])
def test_other_layouts_are_refused(around: Surroundings, candidate_of: Candidates, version: int) -> None:
    around.run(candidate_of("linear"))
    change(around.root / "out" / "bundle.json", format_version=version)
    with pytest.raises(IntegrityError, match=f"format version {version}, this fairlead reads 1"):
        verify(around.root / "out")


def test_a_folder_without_a_record_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"bundle\.json"):
        verify(tmp_path)
