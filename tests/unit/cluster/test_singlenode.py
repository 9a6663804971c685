"""The parts of the cluster tool that need no cluster: what is rebuilt, what is refused, what configuration says."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cluster.singlenode import buildah, cli, images, lifecycle, pins, readiness, requirements, stamps
from tests.cluster.singlenode.failures import Failure, Unavailable
from tests.cluster.singlenode.node import components, configuration, supervisor, targets, volumes
from tests.cluster.singlenode.places import HERE, Cache, State

PACKAGE = "tests.cluster.singlenode"
ROOT = HERE.parents[1]
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (HERE / "singlenode").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.fixture
def state(tmp_path: Path) -> State:
    made = State(tmp_path / "test")
    for folder in (made.pki, made.logs, made.pids):
        folder.mkdir(parents=True)
    (made.pki / "token").write_text("secret")
    return made


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_module_give_what_they_say(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0


def test_it_needs_nothing_but_the_standard_library() -> None:
    isolated = [sys.executable, "-E", "-S", str(HERE / "cluster"), "--help"]
    done = subprocess.run(isolated, capture_output=True, text=True, check=True)
    assert "stop-component" in done.stdout


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda folder: (folder / "main.go").write_text("package other\n"), id="content"),
        pytest.param(lambda folder: (folder / "main.go").rename(folder / "node.go"), id="name"),
        pytest.param(lambda folder: (folder / "main.go").chmod(0o755), id="executable bit"),
        pytest.param(lambda folder: (folder / "go.sum").write_text(""), id="new file"),
    ],
)
def test_a_program_is_built_again_when_its_folder_changes(tmp_path: Path, change: object) -> None:
    (tmp_path / "main.go").write_text("package main\n")
    before = stamps.digest("go1.26", tmp_path)
    assert stamps.digest("go1.26", tmp_path) == before
    change(tmp_path)  # type: ignore[operator]
    assert stamps.digest("go1.26", tmp_path) != before


def test_parts_of_a_digest_do_not_run_into_each_other() -> None:
    assert stamps.digest("ab", "c") != stamps.digest("a", "bc")


def test_every_go_program_has_one_pinned_version() -> None:
    for program in pins.GO_PROGRAMS:
        if program.module:
            assert (HERE / "go" / program.module / "go.mod").is_file()
        else:
            assert "@v" in program.package


def test_every_addon_has_manifests_components_and_a_probe(state: State, tmp_path: Path) -> None:
    for addon in pins.ADDONS:
        assert (HERE / "manifests" / f"{addon}.yaml").is_file()
    assert set(components.addons(state, Cache(tmp_path))) == set(pins.ADDONS) == set(readiness.ADDON_PROBES)


@pytest.mark.parametrize("tag", ["app", "app:latest", "localhost:5000/app", "localhost/app"])
def test_an_image_without_a_fixed_tag_is_refused(tag: str) -> None:
    with pytest.raises(Failure, match="tag"):
        images.full_name(tag)


def test_a_recipe_reaches_buildah_whole() -> None:
    recipe = buildah.Recipe(Path(), Path("Dockerfile"), "serve", ("A=1", "B=2"), ("wheels=/w",))
    assert " ".join(map(str, recipe.options())) == (
        "--file Dockerfile --target serve --build-arg A=1 --build-arg B=2 --build-context wheels=/w ."
    )


@pytest.mark.parametrize(
    ("own", "mounts", "expected"),
    [
        pytest.param(
            "4:memory:/job\n2:cpu,cpuacct:/job\n",
            "c /sys/fs/cgroup/memory cgroup rw,memory 0 0\nc /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0\n",
            {"/sys/fs/cgroup/memory": "/job", "/sys/fs/cgroup/cpu": "/job"},
            id="version 1",
        ),
        pytest.param(
            "0::/job\n", "c /sys/fs/cgroup cgroup2 rw 0 0\n", {"/sys/fs/cgroup": "/"}, id="version 2"
        ),
        pytest.param(
            "1:memory:/job\n0::/job\n",
            "c /sys/fs/cgroup/memory cgroup rw,memory 0 0\nc /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
            {"/sys/fs/cgroup/memory": "/job", "/sys/fs/cgroup/unified": "/job"},
            id="both",
        ),
    ],
)
def test_control_groups_are_found(own: str, mounts: str, expected: dict[str, str]) -> None:
    assert lifecycle.cgroup_mounts(own, mounts) == expected


def test_a_machine_that_cannot_run_a_cluster_is_told_why_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "_no_root", lambda: "needs root")
    with pytest.raises(Unavailable, match=r"^no cluster on this machine: needs root$"):
        requirements.require()


def test_no_cluster_on_this_machine_has_an_exit_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(requirements, "_no_root", lambda: "needs root")
    assert cli.main(["check"]) == 77
    assert capsys.readouterr().err == "cluster: no cluster on this machine: needs root\n"


def test_a_name_that_would_not_fit_a_path_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLUSTER_NAME", "../../etc")
    assert cli.main(["down"]) == 1
    assert "CLUSTER_NAME" in capsys.readouterr().err


def test_the_kubeconfig_is_for_the_owner_alone(state: State) -> None:
    configuration.write(state)
    assert state.kubeconfig.stat().st_mode & 0o077 == 0


def claim(phase: str = "Pending", storage_class: str = "standard") -> volumes.Object:
    return {
        "metadata": {"name": "data", "namespace": "a", "uid": "1-2"},
        "spec": {
            "storageClassName": storage_class,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
        "status": {"phase": phase},
    }


STANDARD = {"metadata": {"name": "standard"}, "reclaimPolicy": "Delete"}


@pytest.mark.parametrize(
    ("of", "there", "made"),
    [
        pytest.param(claim(), [], True, id="waits"),
        pytest.param(claim(), [{"metadata": {"name": "pvc-1-2"}}], False, id="made before"),
        pytest.param(claim("Bound"), [], False, id="bound"),
        pytest.param(claim(storage_class="other"), [], False, id="somebody else's class"),
    ],
)
def test_a_volume_is_made_once_for_each_claim_that_waits(
    of: volumes.Object, there: list[volumes.Object], made: bool
) -> None:
    assert volumes.wanted([of], there, {"standard": STANDARD}) == ([of] if made else [])


def test_a_volume_belongs_to_its_claim_and_goes_with_it(tmp_path: Path) -> None:
    made = volumes.volume(claim(), STANDARD, tmp_path)
    assert made["spec"]["claimRef"]["uid"] == "1-2"
    assert volumes.unwanted([made | {"status": {"phase": "Bound"}}]) == []
    released = made | {"status": {"phase": "Released"}}
    assert volumes.unwanted([released]) == [released]


def test_only_running_pods_that_ask_for_it_are_scraped() -> None:
    meta = {"name": "p", "namespace": "n", "labels": {"app.kubernetes.io/name": "m"}}
    asks = meta | {"annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "3000"}}
    running = {"phase": "Running", "podIP": "10.0.0.1"}
    found = targets.targets(
        [
            {"metadata": asks, "status": running},
            {"metadata": meta, "status": running},
            {"metadata": asks, "status": {"phase": "Pending"}},
        ]
    )
    assert [each["targets"] for each in found] == [["10.0.0.1:3000"]]
    assert found[0]["labels"] == {
        "app_kubernetes_io_name": "m",
        "namespace": "n",
        "pod": "p",
        "__metrics_path__": "/metrics",
    }


def test_a_component_that_ended_is_started_again_once_its_pause_is_over(
    state: State, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # in a process of its own: the supervisor collects every child it finds, as process 1 must
    runs = tmp_path / "runs"
    program = f"""
import time
from pathlib import Path
from tests.cluster.singlenode.node import supervisor
from tests.cluster.singlenode.places import State
supervisor.RESTART_SECONDS = 0.3
under_test = supervisor.Supervisor(State(Path({str(state.root)!r})))
under_test.start("short", ["sh", "-c", "date +%s.%N >> {runs}"])
end = time.monotonic() + 20
while time.monotonic() < end and not (Path({str(runs)!r}).exists() and Path({str(runs)!r}).read_text().count(chr(10)) > 1):
    under_test.turn()
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=60)
    first, second = map(float, runs.read_text().split()[:2])
    assert 0.3 <= second - first < 10
    assert supervisor.RESTART_SECONDS > 0
    assert (state.pids / "short").read_text().isdigit()


def test_a_lock_keeps_a_second_process_out(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from tests.cluster.singlenode.stamps import locked
with locked(Path({str(tmp_path / "lock")!r})):
    print("in", flush=True)
"""
    with stamps.locked(tmp_path / "lock"):
        other = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        assert other.poll() is None
    said, _ = other.communicate(timeout=20)
    assert said == "in\n"
