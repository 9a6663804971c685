"""Fixtures of the tests of the images, and a sandbox that is stricter than a restricted pod."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tools.images import building
from tools.images.__main__ import main
from tools.images.engines import Buildah, engine
from tools.images.lock import ImageError, uv
from tools.images.targets import OUT, ROOT, TARGETS, Target

USER = 65532
BASES = {
    "PYTHON_IMAGE": "localhost/python:3.11-bookworm",
    "UV_IMAGE": "localhost/uv:0.13.9",
    "HELM_IMAGE": "localhost/helm:3.20.2",
}
"""Base images that the test cluster's tool makes."""


@pytest.fixture(scope="session", autouse=True)
def _uv() -> None:
    """What the lock says is asked of uv."""
    try:
        uv()
    except ImageError as cause:
        pytest.skip(str(cause))


@pytest.fixture(params=TARGETS.values(), ids=TARGETS)
def target(request: pytest.FixtureRequest) -> Target:
    """Each of the images."""
    found: Target = request.param
    return found


@pytest.fixture(scope="session")
def builder() -> Buildah:
    """The test cluster's buildah, if this run is to build images and all it needs is there."""
    if not os.environ.get("FAIRLEAD_TEST_IMAGES"):
        pytest.skip("FAIRLEAD_TEST_IMAGES is not set: images take minutes to build")
    if os.geteuid() or not (shutil.which("buildah") and shutil.which("runc")):
        pytest.skip("building and running images here needs root, buildah and runc")
    command = subprocess.run(
        [ROOT / "tests/cluster/cluster", "buildah"], capture_output=True, text=True, check=True
    ).stdout
    found = engine(command)
    assert isinstance(found, Buildah)
    missing = [image for image in BASES.values() if found.size(image) is None]
    if missing:
        pytest.skip(f"`tests/cluster/cluster build` has not made {', '.join(missing)}")
    return found


@pytest.fixture(scope="session")
def built(builder: Buildah) -> Callable[[str], str]:
    """Builds an image by its target, once, by the command that people use; gives its name."""
    done: dict[str, str] = {}

    def build(name: str) -> str:
        if name not in done:
            if not (OUT / f"{name}.txt").exists():
                assert main(["wheels", name]) == 0
            replaced = [word for pair in BASES.items() for word in ("--base", "=".join(pair))]
            assert main(["build", name, "--engine", " ".join(builder.command), *replaced]) == 0
            done[name] = building.tag_of(TARGETS[name])
        return done[name]

    return build


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real bundle, made by the example that everybody runs first, and readable by any user."""
    folder = tmp_path_factory.mktemp("demo")
    demo = [sys.executable, "-m", "fairlead.cli.main", "demo", "--folder", str(folder)]
    subprocess.run(demo, check=True, capture_output=True)
    (found,) = folder.glob("*/.fairlead/store/bundles/*")
    subprocess.run(["chmod", "-R", "a+rX", found], check=True)
    return found


Run = Callable[..., str]


@pytest.fixture
def run(builder: Buildah, built: Callable[[str], str], tmp_path: Path) -> Iterator[Run]:
    """Runs Python source in an image: root file system read-only, no network but the loopback, no capabilities.

    Called as ``run(target, source, path_outside=path_inside, …)`` it gives what was written to standard output; ``/tmp`` is
    writable, and the given folders are mounted read-only.
    """
    containers = []

    def run(name: str, source: str, mounts: dict[Path, str] | None = None) -> str:
        tag = built(name)
        container = _buildah(builder, "from", "--pull-never", tag)
        containers.append(container)
        (tmp_path / "source.py").write_text(source)
        shared = {tmp_path / "source.py": "/source.py", **(mounts or {})}
        image = json.loads(_buildah(builder, "inspect", "--type", "image", tag))["OCIv1"]["config"]
        _write_bundle(tmp_path, _buildah(builder, "mount", container), image["Env"], shared)
        command = ["runc", "run", "--bundle", str(tmp_path), f"fairlead-{os.getpid()}-{name}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    yield run
    for container in containers:
        _buildah(builder, "rm", container)


def _buildah(builder: Buildah, *words: str) -> str:
    return subprocess.run(
        [*builder.command, *words], capture_output=True, text=True, check=True
    ).stdout.strip()


def _write_bundle(folder: Path, root: str, environment: list[str], mounts: dict[Path, str]) -> None:
    """What runc reads: its own default, made stricter."""
    subprocess.run(["runc", "spec", "--bundle", folder], check=True)
    spec = json.loads((folder / "config.json").read_text())
    process = spec["process"]
    process.pop("rlimits")
    process |= {"terminal": False, "user": {"uid": USER, "gid": USER}, "cwd": "/tmp", "env": environment}
    process |= {"args": ["python", "/source.py"], "capabilities": {}, "noNewPrivileges": True}
    spec["root"] = {"path": root, "readonly": True}
    spec["mounts"].append(
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]}
    )
    spec["mounts"] += [
        {"destination": inside, "type": "bind", "source": str(outside), "options": ["rbind", "ro"]}
        for outside, inside in mounts.items()
    ]
    kinds = [space for space in spec["linux"]["namespaces"] if space["type"] != "cgroup"]
    spec["linux"] = {"namespaces": kinds, "maskedPaths": spec["linux"]["maskedPaths"]}
    (folder / "config.json").write_text(json.dumps(spec))
