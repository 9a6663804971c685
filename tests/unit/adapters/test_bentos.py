from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
import skops.io
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from fairlead.adapters.bentos import BentomlBuilder, open_bundle, serve_command
from fairlead.adapters.load import serving
from fairlead.adapters.store import FolderStore
from fairlead.bundle import stage
from fairlead.bundle.layout import build_options, requirements_of
from fairlead.errors import ExportError, IntegrityError, NotFound
from fairlead.heldout import save_heldout
from fairlead.records import Bundle, Candidate, ModelVersion
from fairlead.schema import Batch, Field, Output, Schema
from fairlead.serve.backends import open_backend
from fairlead.spec.serve import Serve

pytestmark = pytest.mark.xdist_group("bentos")  # they share what takes seconds to build

STUB = """
import bentoml

@bentoml.service(name="stub")
class Stub:
    @bentoml.api
    def double(self, number: float) -> float:
        return 2 * number

svc = Stub
"""


def stub(folder: Path, service: str = STUB) -> Path:
    folder.mkdir(parents=True)
    (folder / "service.py").write_text(service)
    (folder / "bentofile.yaml").write_text(build_options(requirements_of("onnx")))
    (folder / "bundle").mkdir()
    (folder / "bundle" / "model.onnx").write_bytes(b"\x00model")
    return folder


def build(source: Path, to: Path, version: str = "0123456789abcdef") -> None:
    BentomlBuilder().build("stub", version, source, to)


@pytest.fixture(scope="module")
def bento(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bento")
    build(stub(root / "source"), root / "bento")
    return root / "bento"


def test_the_bento_has_the_given_name_and_version(bento: Path) -> None:
    described = yaml.safe_load((bento / "bento.yaml").read_text())
    assert (described["name"], described["version"]) == ("stub", "0123456789abcdef")


def test_the_bento_holds_all_files_of_the_source(bento: Path) -> None:
    assert (bento / "src" / "bundle" / "model.onnx").read_bytes() == b"\x00model"


def test_the_bento_can_be_made_an_image(bento: Path) -> None:
    dockerfile = (bento / "env" / "docker" / "Dockerfile").read_text()
    assert f"FROM python:{sys.version_info.major}.{sys.version_info.minor}-slim" in dockerfile


def test_requirements_are_pins_without_repeats(bento: Path) -> None:
    lines = (bento / "env" / "python" / "requirements.txt").read_text().split()
    pins = requirements_of("onnx")
    pins.pop("python")
    assert sorted(lines) == sorted(f"{name}=={version}" for name, version in pins.items())


def test_the_build_options_stay_as_they_were_written(bento: Path) -> None:
    assert (bento / "src" / "bentofile.yaml").read_text() == build_options(requirements_of("onnx"))


def test_nobodys_own_bentoml_home_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    monkeypatch.setenv("BENTOML_HOME", str(own))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    build(stub(tmp_path / "source"), tmp_path / "bento")
    assert not own.exists()
    assert not (tmp_path / "home").exists()


def test_building_writes_nothing_into_the_source(tmp_path: Path) -> None:
    source = stub(tmp_path / "source")
    before = sorted(source.rglob("*"))
    build(source, tmp_path / "bento")
    assert sorted(source.rglob("*")) == before


def test_two_bentos_can_be_built_at_once(tmp_path: Path) -> None:
    sources = [stub(tmp_path / name / "source") for name in ("one", "two")]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda source: build(source, source.parent / "bento", source.parent.name), sources))
    versions = [
        yaml.safe_load((source.parent / "bento" / "bento.yaml").read_text())["version"] for source in sources
    ]
    assert versions == ["one", "two"]


def test_a_service_that_cannot_be_imported_is_an_error_with_the_reason(tmp_path: Path) -> None:
    source = stub(tmp_path / "source", "import no_such_package\n")
    with pytest.raises(ExportError, match="no_such_package"):
        build(source, tmp_path / "bento")
    assert not (tmp_path / "bento").exists()


# ----------------------------------------------------------------------------------------- a whole bundle


def candidate(folder: Path, *before: Any, declared: tuple[str, ...] = ()) -> Candidate:
    """A logistic regression on two numbers, behind the steps *before*."""
    folder.mkdir()
    rows = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    model = make_pipeline(*before, LogisticRegression()).fit(
        rows, np.where(rows.sum(axis=1) > 0, "yes", "no")
    )
    fields = (Field("first number", "number"), Field("second", "number"))
    schema = Schema("sums", fields, Output("classification", "y", classes=("no", "yes"), positive="yes"))
    (folder / "model.skops").write_bytes(skops.io.dumps(model))
    (folder / "schema.json").write_text(schema.to_json())
    (folder / "profile.json").write_text('{"features": {}, "predictions": {}}')
    save_heldout(folder / "heldout.npz", Batch(rows), model.predict_proba(rows))
    return Candidate(str(folder), "logistic", {}, {}, {}, [], declared, "d" * 64, "p" * 64)


def nothing(*_: Any, **__: Any) -> None: ...


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FolderStore:
    return FolderStore(tmp_path_factory.mktemp("store"))


def bundle_of(record: Candidate, store: FolderStore, root: Path) -> Bundle:
    project = SimpleNamespace(name="sums", problem=SimpleNamespace(owner="me"), serve=Serve())
    workspace: Any = SimpleNamespace(project=project, digest="p" * 64)
    tracker: Any = SimpleNamespace(
        run_id="r", params=nothing, metrics=nothing, tags=nothing, artifact=nothing
    )
    registry: Any = SimpleNamespace(register=lambda *_: SimpleNamespace(version=1, aliases=()))
    progress: Any = SimpleNamespace(note=nothing)
    return stage.run(
        workspace, record, BentomlBuilder(), open_backend, serving, store, registry, tracker, progress,
        root / "out", root / "page.html",
    )  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, store: FolderStore) -> Bundle:
    root = tmp_path_factory.mktemp("bundle")
    return bundle_of(candidate(root / "candidate"), store, root)


def test_the_bento_of_a_bundle_is_versioned_by_its_digest(bundle: Bundle) -> None:
    described = yaml.safe_load(Path(bundle.path, "bento", "bento.yaml").read_text())
    assert described["version"] == bundle.digest[:16]


@contextmanager
def served(bundle: Bundle, cache: Path) -> Iterator[str]:
    """The bundle served by ``serve_command`` on a free port; yields the URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command, environment = serve_command(Path(bundle.path), port=port)
    assert Path(command[0]).is_absolute()
    variables = {**os.environ, **environment, "XDG_CACHE_HOME": str(cache)}
    with (cache / "log").open("wb") as log:
        server = subprocess.Popen(command, env=variables, stdout=log, stderr=log, start_new_session=True)
    try:
        yield _ready(f"http://127.0.0.1:{port}", server, cache / "log")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


def _ready(url: str, server: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=1).status_code == 200:
                return url
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def test_a_served_bundle_answers_as_the_opened_one(
    bundle: Bundle, store: FolderStore, tmp_path: Path
) -> None:
    opened = open_bundle(registered(bundle), store)
    expected = opened.answers({"first number": [0.5, -2.0], "second": [0.1, 0.3]})
    rows = [{"first number": 0.5, "second": 0.1}, {"first number": -2.0, "second": 0.3}]
    with served(bundle, tmp_path) as url:
        answer = httpx.post(f"{url}/predict", json={"rows": rows}, timeout=10).json()
    assert answer["version"] == bundle.digest[:16]
    got = [prediction["probabilities"]["yes"] for prediction in answer["predictions"]]
    np.testing.assert_allclose(got, expected[:, 1], rtol=1e-6)


def registered(bundle: Bundle, **changes: Any) -> ModelVersion:
    facts: dict[str, Any] = {"version": 3, "digest": bundle.digest, "uri": bundle.uri} | changes
    return ModelVersion(name="sums", aliases=("champion",), run_id="r", created="now", **facts)


def test_an_opened_bundle_says_what_it_is(bundle: Bundle, store: FolderStore) -> None:
    opened = open_bundle(registered(bundle), store)
    assert (opened.version, opened.output.classes) == (registered(bundle), ("no", "yes"))


def test_a_column_that_the_champion_reads_and_the_rows_lack_is_named(
    bundle: Bundle, store: FolderStore
) -> None:
    with pytest.raises(IntegrityError, match="'second'"):
        open_bundle(registered(bundle), store).answers({"first number": [0.5]})


LOUD = """
from sklearn.base import BaseEstimator, TransformerMixin

class Scaled(TransformerMixin, BaseEstimator):
    def fit(self, rows, target=None):
        self.n_features_in_ = rows.shape[1]
        return self

    def transform(self, rows):
        return rows * FACTOR
"""


def test_a_champion_is_asked_with_the_code_it_was_trained_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project has changed its transformer since, and today's is imported and in the working directory."""
    today, then = tmp_path / "today", tmp_path / "candidate"
    today.mkdir()
    (today / "champions_features.py").write_text(LOUD.replace("FACTOR", "1.0"))
    monkeypatch.syspath_prepend(str(today))
    monkeypatch.chdir(today)
    Scaled = importlib.import_module("champions_features").Scaled

    record = candidate(then, Scaled(), declared=("champions_features.Scaled",))
    (then / "code").mkdir()
    (then / "code" / "champions_features.py").write_text(LOUD.replace("FACTOR", "1.0"))
    store = FolderStore(tmp_path / "store")
    bundle = bundle_of(record, store, tmp_path)
    rows = {"first number": [0.5, -2.0], "second": [0.1, 0.3]}
    expected = open_bundle(registered(bundle), store).answers(rows)
    Scaled.transform = lambda self, rows: rows * -1.0
    (today / "champions_features.py").write_text(LOUD.replace("FACTOR", "-1.0"))
    np.testing.assert_array_equal(open_bundle(registered(bundle), store).answers(rows), expected)
    assert expected[0, 1] > 0.5 > expected[1, 1]


def test_a_bundle_that_the_store_does_not_have_is_not_found(bundle: Bundle, store: FolderStore) -> None:
    with pytest.raises(NotFound, match="version 3"):
        open_bundle(registered(bundle, digest="0" * 64), store)


def test_a_damaged_bundle_is_not_opened(bundle: Bundle, tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("bundles", bundle.digest, Path(bundle.path))
    model = store.path("bundles", bundle.digest) / "bento" / "src" / "bundle" / "model.onnx"
    content = model.read_bytes()
    model.unlink()
    model.write_bytes(content[:-1])
    with pytest.raises(IntegrityError, match=r"model\.onnx does not have the digest"):
        open_bundle(registered(bundle), store)
