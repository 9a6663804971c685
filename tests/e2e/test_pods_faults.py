"""Runs as pods when something is wrong: what the person who started one is told, and that it goes on without them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.installed import Platform, write_small_project
from tests.e2e.kubernetes import CommandFailed, Object, until


@pytest.fixture
def small(platform: Platform, tmp_path: Path) -> Platform:
    """The platform with a project of a few hundred rows."""
    found = replace(platform, project=tmp_path / "tumour")
    write_small_project(found)
    return found


def asked(platform: Platform, **settings: Any) -> None:
    """Set keys of the project's section `run`."""
    path = platform.project / "fairlead.yaml"
    project = yaml_of(path)
    project["run"] |= settings
    path.write_text(json.dumps(project))  # which is YAML too


def yaml_of(path: Path) -> Object:
    """A project file as plain values."""
    import yaml

    return dict(yaml.safe_load(path.read_text()))


def run_words(platform: Platform, *more: str) -> tuple[str, ...]:
    """The words that run the platform's project as pods."""
    cluster = platform.cluster
    return ("run", "--on", "pods", "--namespace", platform.runs.name, "--image", cluster.image("pipeline"),
            "--tools-image", cluster.image("tools"), *more)  # fmt: skip


def failed(platform: Platform) -> str:
    """What `fairlead run` says of a run that must fail."""
    with pytest.raises(CommandFailed) as refused:
        platform.fairlead(*run_words(platform), seconds=300)
    return str(refused.value.said)


@contextmanager
def started(platform: Platform) -> Iterator[subprocess.Popen[str]]:
    """`fairlead run` as a process, its output a pipe."""
    with platform.reached() as environment:
        command = [
            sys.executable,
            "-m",
            "fairlead.cli.main",
            *run_words(platform),
            "-C",
            str(platform.project),
        ]
        with subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            yield process


def task_pod(platform: Platform, task: str, run: str = "") -> str:
    """The name of the pod that works on *task* now; empty if there is none."""
    selector = f"fairlead.dev/task={task}" + (f",fairlead.dev/run={run}" if run else "")
    running = [pod for pod in platform.runs.pods(selector) if pod["status"]["phase"] == "Running"]
    return str(running[0]["metadata"]["name"]) if running else ""


def test_a_task_that_takes_too_much_memory_is_told_with_its_limit(small: Platform) -> None:
    asked(
        small, tasks={"data": {"resources": {"requests": {"memory": "64Mi"}, "limits": {"memory": "150Mi"}}}}
    )
    said = failed(small)
    assert "it took more memory than its limit of 150Mi (OOMKilled)" in said
    assert "run.resources.limits.memory" in said


def test_a_task_over_its_time_is_told_with_its_time_out(small: Platform) -> None:
    asked(small, tasks={"data": {"timeout": "2s"}})
    said = failed(small)
    assert "it took longer than its time-out of 2 s" in said
    assert "run.timeout" in said


def test_a_task_that_no_node_takes_is_told_within_its_bounded_time(small: Platform) -> None:
    """The bound is 10 minutes, for a node that has to be bought first; here the request asks for 15 s."""
    from fairlead.flows.compiled import compile_flow
    from fairlead.runners.pods.cluster import Cluster
    from fairlead.runners.pods.manifests import RunRequest
    from fairlead.runners.pods.submit import submit
    from fairlead.spec import load_project

    asked(small, node_selector={"kubernetes.io/hostname": "nowhere"})
    value = small.fairlead("push").strip().splitlines()[-1]
    request = RunRequest(f"tumour-{int(time.time())}", "tumour", small.runs.name,
                         {"project": value, "source_root": ""}, pending_seconds=15)  # fmt: skip
    flow = compile_flow(
        "training", small.cluster.image("pipeline"), load_project(small.project / "fairlead.yaml").run
    )
    began = time.monotonic()
    submit(Cluster(small.runs.name), request, flow, small.cluster.image("tools"))
    with pytest.raises(CommandFailed) as refused:
        small.fairlead("runs", "--on", "pods", "--namespace", small.runs.name, "--follow", request.name)
    assert re.search(r"no node takes the pod after 1\d s: .*node", refused.value.said)
    assert "run.node_selector" in refused.value.said
    assert time.monotonic() - began < 90


@pytest.mark.release
def test_a_task_whose_pod_is_evicted_runs_again(small: Platform) -> None:
    with started(small) as process:
        small.runs.evict(until("a model to be trained", lambda: task_pod(small, "model"), 240))
        said, _ = process.communicate(timeout=400)
    assert process.returncode == 0, said
    assert "a new pod takes over (1 of 3)" in said
    assert "bundle " in said


@pytest.mark.release
def test_a_run_left_alone_can_be_followed_later(small: Platform) -> None:
    began = time.monotonic()
    said = small.fairlead(*run_words(small, "--detach"))
    assert time.monotonic() - began < 30
    name = name_in(said)
    assert "TaskStarted" not in said
    followed = small.fairlead("runs", "--on", "pods", "--namespace", small.runs.name, "--follow", name)
    assert f"bundle {bundle_of(small, name)[:16]}" in followed


@pytest.mark.release
def test_a_run_goes_on_when_whoever_started_it_is_killed(small: Platform) -> None:
    with started(small) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if '"TaskStarted"' in line:
                process.kill()
    name = name_in(said)
    until("the run to end", lambda: small.runs.get("job", name)["status"].get("succeeded"), 300, every=1)
    listed = small.fairlead("runs", "--on", "pods", "--namespace", small.runs.name)
    assert re.search(rf"{name}.*finished", listed)
    assert bundle_of(small, name)


def name_in(said: str) -> str:
    """The run's name in what `fairlead run` printed."""
    found = re.search(r"run (\S+) is a Job", said)
    assert found, said
    return found.group(1)


def bundle_of(platform: Platform, run: str) -> str:
    """Digest of the bundle that a run's last log line names."""
    log = platform.runs.kubectl("logs", f"job/{run}")
    return str(json.loads(log.splitlines()[-1])["bundle"])
