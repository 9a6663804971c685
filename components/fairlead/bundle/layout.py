"""What is in the source folder of a bundle's Bento, and how it is written.

::

    service.py               what BentoML imports: three lines
    bentofile.yaml           how BentoML builds: pinned requirements, version of Python, usage statistics off
    fairlead/                serve/, schema/, errors.py, telemetry.py: the code that answers, as it was when the bundle was built
    bundle/
        manifest.json        name, digest, format, trusted types, digests of all files
        model.onnx           or model.treelite, or model.skops
        schema.json          what a request must look like
        serving.json         what holds wherever it is served: objective, what may be logged, execution providers
        reference/           profile.json: the features it was trained on; predictions.json: its answers when tested
        code/                the project's own package, if the model needs it

The code travels, so that a bundle answers tomorrow as it did when it was tested, whatever is installed beside it; and
``fairlead/`` has no ``__init__.py``, because it is one part of a namespace here as well.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from fairlead import telemetry
from fairlead.bundle.digest import bundle_digest, files_below, lock_digest
from fairlead.bundle.formats import Format
from fairlead.errors import ExportError

FORMAT_VERSION = 1
"""Version of this layout. The runtime reads it and the one before."""

SERVED = "bundle"
MANIFEST = f"{SERVED}/manifest.json"

SERVING_CODE = ("fairlead.serve", "fairlead.schema", "fairlead.errors", "fairlead.telemetry")
"""Packages and modules that are copied into a bundle. Named by string: nothing here may depend on how a model is served."""

SERVICE = '''"""What BentoML imports. The model is in bundle/, the code that serves it in fairlead/."""

from pathlib import Path

from fairlead.serve.service import service_of

svc = service_of(Path(__file__).resolve().parent / "bundle")
'''

_RUNTIME = ("bentoml", "cryptography", "graphene", "grpcio", "grpcio-health-checking", "grpcio-reflection", "httptools", "numpy",
            "opentelemetry-exporter-otlp-proto-http", "orjson", "pyjwt", "uvicorn", "uvloop")  # fmt: skip
PACKAGES: dict[Format, tuple[str, ...]] = {
    "onnx": (*_RUNTIME, "onnxruntime"),
    "treelite": (*_RUNTIME, "treelite"),
    "skops": (*_RUNTIME, "scikit-learn", "skops"),
}
"""What a bundle needs at run time, by the format of its model."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into a bundle. The same contents are the same files, and the same digest."""

    name: str
    format: Format
    model: Path
    """The exported model file."""
    candidate: Path
    """The candidate's folder: schema, profile and the project's own package are taken from it."""
    trusted: Sequence[str]
    dataset: str
    """Digest of the dataset."""
    requirements: Mapping[str, str]
    """Package to version."""
    serving: Mapping[str, Any]
    """See :func:`fairlead.bundle.serving.serving_record`."""


def write_source(contents: Contents, folder: Path) -> dict[str, Any]:
    """Write the source folder of a Bento, and return its manifest.

    Args:
        contents: What goes in.
        folder: An empty or absent folder.
    """
    served = folder / SERVED
    (served / "reference").mkdir(parents=True)
    (folder / "service.py").write_text(SERVICE, encoding="utf-8")
    (folder / "bentofile.yaml").write_text(build_options(contents.requirements), encoding="utf-8")
    for name, origin in serving_files():
        _copy(origin, folder / name)
    _copy(contents.model, served / contents.model.name)
    _copy(contents.candidate / "schema.json", served / "schema.json")
    (served / "serving.json").write_text(_json(contents.serving), encoding="utf-8")
    _write_reference(contents.candidate / "profile.json", served / "reference")
    code = contents.candidate / "code"
    if code.is_dir():
        shutil.copytree(code, served / "code", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    return _write_manifest(contents, folder)


def build_options(requirements: Mapping[str, str]) -> str:
    """``bentofile.yaml``: everything goes in, requirements are pins already and are not resolved again.

    BentoML adds itself to the requirements, in the version that builds.

    >>> print(build_options({"python": "3.11", "orjson": "3.11.4", "numpy": "2.4.6", "bentoml": "1.4.39"}), end="")
    docker:
      distro: debian
      python_version: '3.11'
    envs:
    - name: MLFLOW_DISABLE_TELEMETRY
      value: 'true'
    - name: BENTOML_DO_NOT_TRACK
      value: 'True'
    - name: ORT_DISABLE_TELEMETRY
      value: '1'
    - name: DO_NOT_TRACK
      value: '1'
    include:
    - '*'
    python:
      lock_packages: false
      packages:
      - numpy==2.4.6
      - orjson==3.11.4
    service: service:svc
    """
    names = sorted(set(requirements) - {"python", "bentoml"})
    options = {
        "service": "service:svc",
        "include": ["*"],
        "python": {"packages": [f"{name}=={requirements[name]}" for name in names], "lock_packages": False},
        "docker": {"distro": "debian", "python_version": requirements["python"]},
        "envs": [{"name": name, "value": value} for name, value in telemetry.OFF.items()],
    }
    return yaml.safe_dump(options, sort_keys=True)


def _copy(origin: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(origin, target)


def _write_reference(profile: Path, folder: Path) -> None:
    """Split the candidate's profile, so that whoever watches features need not read predictions."""
    record = json.loads(profile.read_bytes())
    for part, name in (("features", "profile.json"), ("predictions", "predictions.json")):
        (folder / name).write_text(_json(record[part]), encoding="utf-8")


def _json(content: Any) -> str:
    return json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def _write_manifest(contents: Contents, folder: Path) -> dict[str, Any]:
    files = source_files(folder)
    lock = lock_digest(contents.requirements)
    manifest = {
        "format_version": FORMAT_VERSION,
        "name": contents.name,
        "digest": bundle_digest(files, dataset=contents.dataset, lock=lock, format_version=FORMAT_VERSION),
        "format": contents.format,
        "model": contents.model.name,
        "trusted": sorted(contents.trusted),
        "dataset": contents.dataset,
        "requirements": dict(contents.requirements),
        "files": {
            name.removeprefix(f"{SERVED}/"): sha
            for name, sha in files.items()
            if name.startswith(f"{SERVED}/")
        },
        "code": {name: sha for name, sha in files.items() if not name.startswith(f"{SERVED}/")},
    }
    (folder / MANIFEST).write_text(_json(manifest), encoding="utf-8")
    return manifest


def source_files(folder: Path) -> dict[str, str]:
    """The files of a source folder that its digest covers, as path to SHA-256. Byte code is not looked at."""
    return {
        name: sha
        for name, sha in files_below(folder).items()
        if name != MANIFEST and "__pycache__" not in name.split("/")
    }


def serving_files() -> Iterator[tuple[str, Path]]:
    """The code that travels: path in the source folder, and where it is now; sorted.

    Raises:
        ExportError: A package is not installed, so there is nothing to serve the model with.
    """
    found: dict[str, Path] = {}
    for name in SERVING_CODE:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise ExportError(f"{name} is not installed, and a bundle carries it")
        found.update(_files_of(name.replace(".", "/"), Path(spec.origin)))
    yield from sorted(found.items())


def _files_of(name: str, origin: Path) -> Iterator[tuple[str, Path]]:
    if origin.name != "__init__.py":
        yield f"{name}.py", origin
        return
    for path in sorted(origin.parent.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"{name}/{path.relative_to(origin.parent).as_posix()}", path


def requirements_of(format_name: Format) -> dict[str, str]:
    """Versions of what a bundle needs, as they are installed here, where parity was measured; and of Python itself."""
    pins = {package: version(package) for package in sorted(PACKAGES[format_name])}
    return {"python": f"{sys.version_info.major}.{sys.version_info.minor}", **pins}
