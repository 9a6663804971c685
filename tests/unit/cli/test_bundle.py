"""`fairlead bundle fetch` as an init container runs it, and `fairlead bundle values` as a chart takes it."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml
from tests.s3 import S3Server
from tests.unit.adapters.conftest import s3, s3_server
from tests.unit.adapters.test_tracking import workspace
from tests.unit.bundle.conftest import candidate_of, make
from tests.unit.bundle.test_stage import Candidates, Surroundings

from fairlead.adapters.objects import S3Store
from fairlead.adapters.registry import MlflowRegistry
from fairlead.adapters.settings import Settings
from fairlead.adapters.store import FolderStore
from fairlead.adapters.tracking import MlflowTracker
from fairlead.bundle.load.capacity import Measured, capacity_of
from fairlead.bundle.load.search import Outcome
from fairlead.bundle.verify import CAPACITY, verify
from fairlead.cli import bundle as verb
from fairlead.errors import IntegrityError, NotFound, ProjectError
from fairlead.records import Bundle

__all__ = ["candidate_of", "make", "s3", "s3_server"]

pytestmark = pytest.mark.xdist_group("s3")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, candidate_of: Candidates) -> Bundle:
    """A bundle in a folder store, not to be changed."""
    return Surroundings(tmp_path_factory.mktemp("bundle")).run(candidate_of("linear"))


def fairlead(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "fairlead.cli.main", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


def fetch(bundle: Bundle, to: Path, uri: str = "", digest: str = "") -> "subprocess.CompletedProcess[str]":
    return fairlead("bundle", "fetch", uri or bundle.uri, "--digest", digest or bundle.digest, "--to", to)


def test_a_bundle_is_fetched_from_a_folder(bundle: Bundle, tmp_path: Path) -> None:
    assert fetch(bundle, tmp_path / "got").returncode == 0
    assert verify(tmp_path / "got").digest == bundle.digest


def test_a_bundle_is_fetched_from_a_bucket(bundle: Bundle, s3: S3Server, tmp_path: Path) -> None:
    uri = S3Store("s3://models/fetch").put("bundles", bundle.digest, Path(bundle.path))
    assert fetch(bundle, tmp_path / "got", uri).returncode == 0
    assert verify(tmp_path / "got").digest == bundle.digest


def test_fetching_again_asks_no_store(bundle: Bundle, s3: S3Server, tmp_path: Path) -> None:
    uri = S3Store("s3://models/again").put("bundles", bundle.digest, Path(bundle.path))
    fetch(bundle, tmp_path / "got", uri)
    s3.stop()
    again = fetch(bundle, tmp_path / "got", uri)
    assert again.returncode == 0, again.stderr
    assert "already" in again.stdout


def test_a_store_that_comes_up_later_is_waited_for(bundle: Bundle, s3: S3Server, tmp_path: Path) -> None:
    uri = S3Store("s3://models/later").put("bundles", bundle.digest, Path(bundle.path))
    s3.stop()
    threading.Timer(4, s3.start).start()
    fetched = fetch(bundle, tmp_path / "got", uri)
    assert fetched.returncode == 0, fetched.stderr
    assert verify(tmp_path / "got").digest == bundle.digest


def test_another_bundle_than_the_named_one_is_refused_and_leaves_nothing(
    bundle: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    ended = fetch(bundle, tmp_path / "empty" / "got", digest="0" * 64)
    assert ended.returncode == IntegrityError.exit_code
    assert f"{'0' * 64} was asked for" in ended.stderr
    assert not list((tmp_path / "empty").iterdir())


def test_a_bundle_that_the_store_does_not_have_is_not_found(
    bundle: Bundle, s3: S3Server, tmp_path: Path
) -> None:
    ended = fetch(bundle, tmp_path / "got", f"s3://models/none/bundles/{bundle.digest}.tar")
    assert ended.returncode == NotFound.exit_code
    assert "Traceback" not in ended.stderr
    assert s3.url in ended.stderr


def test_a_layout_that_this_version_does_not_read_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    newer = tmp_path / "newer"
    shutil.copytree(bundle.path, newer)
    record = json.loads((newer / "bundle.json").read_bytes())
    (newer / "bundle.json").write_text(json.dumps(record | {"format_version": 9}))
    uri = FolderStore(tmp_path / "other").put("bundles", bundle.digest, newer)
    ended = fetch(bundle, tmp_path / "got", uri)
    assert ended.returncode == IntegrityError.exit_code
    assert "format version 9, this fairlead reads 1" in ended.stderr


def test_a_damaged_copy_is_replaced(bundle: Bundle, tmp_path: Path) -> None:
    fetch(bundle, tmp_path / "got")
    (tmp_path / "got" / "bento" / "src" / "service.py").unlink()
    assert fetch(bundle, tmp_path / "got").returncode == 0
    assert verify(tmp_path / "got").digest == bundle.digest


def test_a_folder_with_something_else_is_left_alone(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("x")
    ended = fetch(bundle, tmp_path / "home")
    assert ended.returncode == ProjectError.exit_code
    assert "thesis.tex" in ended.stderr
    assert (tmp_path / "home" / "thesis.tex").exists()


def test_the_folder_one_is_in_is_filled(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert fetch(bundle, Path()).returncode == 0
    assert verify(tmp_path / "here").digest == bundle.digest


def test_a_volume_mounted_at_the_folder_is_filled(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = tmp_path / "volume"
    (volume / verb.UNFINISHED / "bento").mkdir(parents=True)  # what a killed fetch left
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == volume)
    verb.refuse_other_content(volume)
    verb.fetch_bundle(bundle.uri, bundle.digest, volume)
    assert verb.holds(volume, bundle.digest)
    assert {path.name for path in volume.iterdir()} == set(verb.LAYOUT)


def test_fetching_loads_little_and_takes_little(bundle: Bundle, s3: S3Server, tmp_path: Path) -> None:
    uri = S3Store("s3://models/light").put("bundles", bundle.digest, Path(bundle.path))
    script = (
        "import sys\nfrom pathlib import Path\nfrom fairlead.cli import main\n"
        "try:\n    main.main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('pandas', 'mlflow', 'bentoml', 'kfp', 'sklearn', 'sqlalchemy') if name in sys.modules])\n"
        # Not ru_maxrss, which begins with what the parent had.
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    )
    command = [
        sys.executable,
        "-c",
        script,
        "bundle",
        "fetch",
        uri,
        "--digest",
        bundle.digest,
        "--to",
        str(tmp_path / "got"),
    ]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert printed[-2] == "[]"
    assert int(printed[-1]) < 200 * 1024


# ------------------------------------------------------------------------------------------------------- values


PROJECT = """
apiVersion: fairlead/v1
name: cancer
problem: {statement: find it, owner: me}
data: {source: {kind: csv, uri: rows.csv}, target: y}
model: {task: classification, candidates: [logistic]}
"""


@pytest.fixture
def registered(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """The bundle, registered in the project's own MLflow, with a request row for people to try."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("FAIRLEAD_STORE", raising=False)
    (tmp_path / "fairlead.yaml").write_text(PROJECT)
    store = FolderStore(tmp_path / ".fairlead" / "store")
    kept = store.path("bundles", bundle.digest)
    shutil.copytree(bundle.path, kept)
    rows = {"rows": [{"age": 30}, {"age": 40}]}
    (kept / "attestations" / "examples.json").write_text(json.dumps(rows))
    settings = Settings.from_environment({}, tmp_path / ".fairlead")
    run = MlflowTracker.open(settings, workspace("cancer"), "bundle").run_id
    named = Bundle(
        **{**json.loads((kept / "bundle.json").read_bytes()), "uri": store.uri("bundles", bundle.digest)}
    )
    MlflowRegistry(settings).register(named, run, {}, {})
    return named


@pytest.mark.parametrize("which", ["champion", "1", "DIGEST"], ids=["alias", "number", "digest"])
def test_the_values_name_the_bundle_and_one_row_to_try(
    registered: Bundle, tmp_path: Path, which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    verb.values(registered.digest[:12] if which == "DIGEST" else which, tmp_path)
    assert yaml.safe_load(capsys.readouterr().out) == {
        "bundle": {
            "name": "cancer",
            "digest": registered.digest,
            "uri": registered.uri,
            "format": registered.format,
            "probe": {"rows": [{"age": 30}]},
        }
    }


def test_what_a_load_test_found_is_among_the_values(
    registered: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Measured(Outcome.FOUND, 10_000.0, 20.0, 19.0, 22.0, 98e-6, 150 * 2**20)
    made = capacity_of(found, bundle=registered.digest, objective_ms=50.0, machine={}, expected_rate=20_000.0)
    kept = FolderStore(tmp_path / ".fairlead" / "store").path("bundles", registered.digest)
    (kept / CAPACITY).write_text(made.to_json())
    verb.values("champion", tmp_path)
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["capacity"] == {"cpu": "1000m", "memory": "192Mi", "replicas": 3}
    assert printed["scale"] == {"cpuPercent": 68}


def test_a_version_that_is_not_there_is_named_with_the_aliases_that_are(
    registered: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match="no version 'challenger'; its aliases: champion"):
        verb.values("challenger", tmp_path)
