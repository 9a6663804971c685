"""The project as one content-named archive: what travels to a pipeline instead of a folder.

It holds the project file, the contract and the project's own Python code, and no data. It is an uncompressed tar with fixed
owners, modes and times, so the same content is the same file on every machine; its SHA-256 is the project's digest.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
from pathlib import Path

from fairlead.adapters import tars
from fairlead.adapters.store import FolderStore, object_at
from fairlead.errors import IntegrityError, NotFound, ProjectError
from fairlead.records import Store, Workspace
from fairlead.spec import Contract, Project, load_contract, load_project
from fairlead.spec.consistency import check_consistent
from fairlead.usercode import is_own_code

PROJECT_FILE = "fairlead.yaml"
ARCHIVE = "project.tar"
KIND = "projects"
"""What archives are called in the store."""
MAX_BYTES = 20 * 1024 * 1024


def pack(root: Path) -> bytes:
    """The archive of the project in *root*.

    Raises:
        ProjectError: There is no project file or contract, the contract lies outside *root*, or the code is larger than 20 MiB.
    """
    project, _contract = read_project(root)
    _refuse_outside(root, project.data.contract)
    members = sorted({PROJECT_FILE, project.data.contract, *code_files(root)})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in members:
            content = (root / name).read_bytes()
            archive.addfile(tars.entry(name, len(content)), io.BytesIO(content))
    if buffer.tell() > MAX_BYTES:
        raise ProjectError(
            f"the project's code takes {buffer.tell() / 2**20:.0f} MiB; at most {MAX_BYTES // 2**20} MiB travel",
            hint="Keep data out of the project's Python folders; data belongs to data.source.",
        )
    return buffer.getvalue()


def _refuse_outside(root: Path, contract: str) -> None:
    if not (root / contract).resolve().is_relative_to(root.resolve()):
        raise ProjectError(
            f"data.contract is {contract!r}, which lies outside the project's folder and cannot travel with it",
            hint=f"Copy it beside {PROJECT_FILE}.",
        )


def code_files(root: Path) -> list[str]:
    """Names of the Python files below *root*, sorted, without hidden folders, caches and data."""
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if is_own_code(path.relative_to(root))
    )


def push(root: Path, store: Store, scratch: Path) -> str:
    """Keep the project's archive in *store*; returns the pipeline's ``project`` value.

    That is ``PATH@sha256:DIGEST`` for a folder and ``s3://…/projects/DIGEST.tar@sha256:DIGEST`` for an object store. DIGEST is
    the archive's in both; the object holds it as its one file.
    """
    content = pack(root)
    digest = hashlib.sha256(content).hexdigest()
    if not store.has(KIND, digest):
        scratch.mkdir(parents=True, exist_ok=True)
        (scratch / ARCHIVE).write_bytes(content)
        store.put(KIND, digest, scratch)
    at = store.path(KIND, digest) / ARCHIVE if isinstance(store, FolderStore) else store.uri(KIND, digest)
    return f"{at}@sha256:{digest}"


def unpack(value: str, into: Path, source_root: Path | None = None) -> Workspace:
    """Open a pipeline's ``project`` value in the folder *into*.

    Raises:
        ProjectError: The value is not an archive with its digest, as :func:`push` returns it.
        NotFound: There is no such archive.
        IntegrityError: The archive is not the one that the digest names.
    """
    path, separator, digest = value.rpartition("@sha256:")
    if not separator:
        raise ProjectError(
            f"project is {value!r}, but must be an archive with its digest: PATH@sha256:DIGEST",
            hint="`fairlead push` stores the project and prints the value.",
        )
    content = _archive_at(path)
    actual = hashlib.sha256(content).hexdigest()
    if actual != digest:
        raise IntegrityError(
            f"the project archive {path} has the digest {actual[:16]}…, but {digest[:16]}… was asked for",
            hint="It was changed after `fairlead push`; push again and use the value it prints.",
        )
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        tars.extract(archive, into)
    project, contract = read_project(into)
    return Workspace(into, project, contract, digest, source_root)


def _archive_at(path: str) -> bytes:
    if path.startswith("s3://"):
        store, kind, name = object_at(path)
        with tempfile.TemporaryDirectory(prefix="fairlead-") as scratch:
            store.get(kind, name, Path(scratch) / name)
            return _read(Path(scratch) / name / ARCHIVE, path)
    return _read(Path(path.removeprefix("file://")), path)


def _read(file: Path, shown: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as cause:
        raise NotFound(f"no project archive at {shown}: {cause.strerror}") from cause


def read_project(root: Path) -> tuple[Project, Contract]:
    """The project file and the contract in *root*, each checked and held against the other."""
    project = load_project(root / PROJECT_FILE)
    contract = load_contract(root / project.data.contract)
    check_consistent(project, contract)
    return project, contract
