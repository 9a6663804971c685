"""The store in a bucket, against a real S3 server."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest
from tests.s3 import S3Server
from tests.unit.adapters.test_store import CONTRACT, PROJECT

from fairlead.adapters import archives, tars
from fairlead.adapters import s3 as connection
from fairlead.adapters.objects import S3Store
from fairlead.adapters.store import FolderStore, holder, object_at, open_store
from fairlead.errors import IntegrityError, NotFound, ProjectError, ServiceError

pytestmark = pytest.mark.xdist_group("s3")

TEAM = "s3://models/team"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    (made / "sub" / "empty").mkdir(parents=True)
    (made / "a.txt").write_text("a")
    (made / "sub" / "run.sh").write_text("#!/bin/sh\n")
    (made / "sub" / "run.sh").chmod(0o755)
    (made / "sub" / ("long" * 40)).write_text("a name longer than a tar header")
    return made


@pytest.fixture
def store(s3: S3Server, request: pytest.FixtureRequest) -> S3Store:
    return S3Store(f"{TEAM}/{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}")


def tree(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): "folder" if path.is_dir() else path.read_text()
        for path in root.rglob("*")
    }


def test_what_was_put_can_be_got(store: S3Store, folder: Path, tmp_path: Path) -> None:
    store.put("bundles", "d1", folder)
    store.get("bundles", "d1", tmp_path / "out")
    assert tree(tmp_path / "out") == tree(folder)
    assert os.access(tmp_path / "out" / "sub" / "run.sh", os.X_OK)


def test_an_object_is_one_tar(store: S3Store, folder: Path, s3: S3Server) -> None:
    uri = store.put("bundles", "d1", folder)
    assert uri == f"{store.root}/bundles/d1.tar"
    assert tarfile.is_tarfile(s3.root / "data" / uri.removeprefix("s3://"))


def test_an_object_that_was_not_put_is_not_there(store: S3Store) -> None:
    assert not store.has("bundles", "d1")


def test_putting_an_object_twice_keeps_the_first(store: S3Store, folder: Path, tmp_path: Path) -> None:
    store.put("bundles", "d1", folder)
    (folder / "a.txt").write_text("b")
    store.put("bundles", "d1", folder)
    store.get("bundles", "d1", tmp_path / "out")
    assert (tmp_path / "out" / "a.txt").read_text() == "a"


def test_an_object_that_is_not_there_is_named_with_the_store(
    store: S3Store, s3: S3Server, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match=rf"bundles/d1\.tar at {s3.url}"):
        store.get("bundles", "d1", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_local_copy_is_fetched_once(store: S3Store, folder: Path, s3: S3Server, tmp_path: Path) -> None:
    store.put("bundles", "d1", folder)
    at = store.local("bundles", "d1", tmp_path / "cache")
    s3.stop()
    assert store.local("bundles", "d1", tmp_path / "cache") == at
    assert tree(at) == tree(folder)


def test_the_same_files_are_the_same_tar_whatever_their_times_and_order(folder: Path, tmp_path: Path) -> None:
    def packed() -> str:
        with (tmp_path / "tar").open("wb") as file:
            tars.write_folder(folder, file)
        return hashlib.sha256((tmp_path / "tar").read_bytes()).hexdigest()

    before = packed()
    os.utime(folder / "a.txt", (1, 1))
    (folder / "a.txt").chmod(0o600)
    assert packed() == before


def test_a_file_that_cannot_be_read_makes_no_object(
    store: S3Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(_folder: Path, stream: object) -> None:
        stream.write(b"x" * (12 << 20))  # type: ignore[attr-defined]  # more than a part, so the upload has begun
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(tars, "write_folder", half)
    with pytest.raises(ServiceError, match="Input/output error"):
        store.put("bundles", "d1", folder)
    assert not store.has("bundles", "d1")


def test_an_upload_that_fails_makes_no_object_even_when_the_process_ends(
    store: S3Store, folder: Path, s3: S3Server
) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom fairlead.adapters import objects, tars\n"
        "def half(folder, stream):\n    stream.write(b'x' * 1000)\n    raise OSError(5, 'broken')\n"
        "tars.write_folder = half\n"
        "objects.S3Store(sys.argv[1]).put('bundles', 'd1', Path(sys.argv[2]))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, store.root, str(folder)], capture_output=True, check=False
    )
    assert ended.returncode == 1
    assert not store.has("bundles", "d1")


def test_what_was_damaged_in_the_store_is_refused(
    store: S3Store, s3: S3Server, folder: Path, tmp_path: Path
) -> None:
    at = s3.root / "data" / store.put("bundles", "d1", folder).removeprefix("s3://")
    at.write_bytes(at.read_bytes().replace(b"a name longer", b"a name shorter"[:13]))
    with pytest.raises(IntegrityError, match=r"d1\.tar at .* is damaged"):
        store.get("bundles", "d1", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def replace(uri: str, content: bytes) -> None:
    """Put *content* there, past the store."""
    with connection.filesystem().open_output_stream(connection.bucket_and_key(uri)) as stream:
        stream.write(content)


def tar_of(folder: Path) -> bytes:
    stream = io.BytesIO()
    tars.write_folder(folder, stream)
    return stream.getvalue()


def tar_with(member: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tars.entry(member, 0))
    return stream.getvalue()


def test_a_big_object_passes_through_little_memory(store: S3Store, tmp_path: Path, s3: S3Server) -> None:
    big = tmp_path / "big"
    big.mkdir()
    with (big / "rows").open("wb") as file:
        file.truncate(300 << 20)
    script = (
        "import sys\nfrom pathlib import Path\nfrom fairlead.adapters.objects import S3Store\n"
        "def highest():\n    return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
        "store = S3Store(sys.argv[1])\nstore.has('bundles', 'd1')\n"
        "before = highest()\n"
        "store.put('bundles', 'd1', Path(sys.argv[2]))\nstore.get('bundles', 'd1', Path(sys.argv[3]))\n"
        "print(highest() - before)\n"
    )
    command = [sys.executable, "-c", script, store.root, str(big), str(tmp_path / "out")]
    grown = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert grown < 100 * 1024
    assert (tmp_path / "out" / "rows").stat().st_size == 300 << 20


def test_something_else_under_the_name_is_refused_and_leaves_nothing(
    store: S3Store, s3: S3Server, folder: Path, tmp_path: Path
) -> None:
    replace(store.put("bundles", "d1", folder), tar_of(folder)[:700])
    with pytest.raises(IntegrityError, match="not a whole tar"):
        store.get("bundles", "d1", tmp_path / "here" / "out")
    assert not list((tmp_path / "here").iterdir())


def test_a_member_that_would_be_written_elsewhere_is_refused(
    store: S3Store, s3: S3Server, folder: Path, tmp_path: Path
) -> None:
    replace(store.put("bundles", "d1", folder), tar_with("../../escaped"))
    with pytest.raises(IntegrityError, match="no plain file or folder below"):
        store.get("bundles", "d1", tmp_path / "out")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"AWS_REGION": "us-east-1"}, "set AWS_REGION"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "AWS_SECRET_ACCESS_KEY"),
    ],
    ids=["another region", "wrong key"],
)
def test_a_store_that_refuses_is_named_with_what_to_check(
    s3: S3Server, wrong: dict[str, str], says: str, tmp_path: Path
) -> None:
    with pytest.raises(ServiceError, match=rf"s3://models/team/bundles/d1\.tar at {s3.url}") as caught:
        S3Store(TEAM, {**s3.environment, **wrong}).get("bundles", "d1", tmp_path / "out")
    assert says in caught.value.hint


def test_a_bucket_that_is_not_there_is_said_when_something_is_put(s3: S3Server, folder: Path) -> None:
    with pytest.raises(ServiceError, match="s3://absent") as caught:
        S3Store("s3://absent").put("bundles", "d1", folder)
    assert "Create the bucket" in caught.value.hint


def test_a_store_that_is_away_for_some_seconds_is_waited_for(
    store: S3Store, folder: Path, s3: S3Server, tmp_path: Path
) -> None:
    store.put("bundles", "d1", folder)
    s3.stop()
    back = threading.Timer(3, s3.start)
    back.start()
    started = time.monotonic()
    store.get("bundles", "d1", tmp_path / "out")
    back.join()
    assert time.monotonic() - started >= 2
    assert tree(tmp_path / "out") == tree(folder)


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OSError("AWS Error NETWORK_CONNECTION during HeadObject operation: Could not connect")

    started = time.monotonic()
    with pytest.raises(OSError, match="NETWORK_CONNECTION"):
        connection.patiently(away, "look", patience=1.2)
    assert 0.4 < time.monotonic() - started < 2


def test_what_waiting_does_not_mend_is_not_waited_for() -> None:
    calls = []

    def refuse() -> None:
        calls.append(1)
        raise OSError("AWS Error ACCESS_DENIED during PutObject operation")

    with pytest.raises(OSError, match="ACCESS_DENIED"):
        connection.patiently(refuse, "put")
    assert len(calls) == 1


# ---------------------------------------------------------------------------------------- which store, which object


def test_a_uri_of_an_object_leads_back_to_it(store: S3Store, folder: Path) -> None:
    found, kind, digest = object_at(store.put("bundles", "d1", folder))
    assert found.has(kind, digest)


def test_a_file_uri_of_an_object_leads_back_to_it(folder: Path, tmp_path: Path) -> None:
    found, kind, digest = object_at(FolderStore(tmp_path / "a store").put("bundles", "d1", folder))
    assert found.has(kind, digest)


@pytest.mark.parametrize("uri", ["s3://models", "bundles/d1", "https://store/bundles/d1.tar", ""])
def test_what_names_no_object_is_refused(uri: str) -> None:
    with pytest.raises(ProjectError, match="names no object"):
        object_at(uri)


@pytest.mark.parametrize("where", ["https://store/models", "gs://models"])
def test_a_store_of_another_kind_is_refused(where: str) -> None:
    with pytest.raises(ProjectError, match=r"s3://bucket/prefix|of no kind"):
        open_store(where)


def test_an_object_is_found_where_it_was_kept_if_this_store_lacks_it(
    store: S3Store, folder: Path, tmp_path: Path
) -> None:
    uri = store.put("bundles", "d1", folder)
    assert holder(FolderStore(tmp_path / "own"), "bundles", "d1", uri).root == store.root


def test_the_place_it_was_kept_at_is_not_taken_for_another_object(
    store: S3Store, folder: Path, tmp_path: Path
) -> None:
    uri = store.put("bundles", "d1", folder)
    with pytest.raises(NotFound, match="no bundles d2"):
        holder(FolderStore(tmp_path / "own"), "bundles", "d2", uri)


# ------------------------------------------------------------------------------------------------- project archives


def test_a_project_pushed_to_a_bucket_is_opened_from_its_value(store: S3Store, tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "fairlead.yaml").write_text(PROJECT)
    (root / "contract.yaml").write_text(CONTRACT)
    value = archives.push(root, store, tmp_path / "scratch")
    digest = hashlib.sha256(archives.pack(root)).hexdigest()
    assert value == f"{store.root}/projects/{digest}.tar@sha256:{digest}"
    assert archives.unpack(value, tmp_path / "unpacked").project.name == "small"


def test_a_project_that_was_replaced_in_the_bucket_is_refused(
    store: S3Store, s3: S3Server, tmp_path: Path
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "fairlead.yaml").write_text(PROJECT)
    (root / "contract.yaml").write_text(CONTRACT)
    value = archives.push(root, store, tmp_path / "scratch")
    replace(value.rpartition("@")[0], tar_with("project.tar"))
    with pytest.raises(IntegrityError, match="was asked for"):
        archives.unpack(value, tmp_path / "unpacked")
