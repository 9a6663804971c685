"""What a process may use, from the files that Linux shows: real contents of both versions of control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.serve.backends.cpus import (
    groups_of,
    least,
    quota_v1,
    quota_v2,
    quotas,
    usable_cpus,
    whole_threads,
)

V2_POD = (
    "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12.slice/cri-containerd-ab.scope\n"
)
V1_POD = "12:pids:/kubepods/burstable/pod12/ab\n5:cpu,cpuacct:/kubepods/burstable/pod12/ab\n1:name=systemd:/kubepods\n"
HYBRID = "9:name=systemd:/\n4:memory:/api/b1\n2:cpuacct:/\n1:cpu:/\n0::/\n"


def system(root: Path, groups: str, files: dict[str, str]) -> Path:
    """A root with ``/proc/self/cgroup`` and files below ``/sys/fs/cgroup``."""
    for name, text in {
        "proc/self/cgroup": groups,
        **{f"sys/fs/cgroup/{k}": v for k, v in files.items()},
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        pytest.param("0::/\n", {"cpu.max": "200000 100000\n"}, 2.0, id="v2: a pod sees its own group as the root"),
        pytest.param(V2_POD, {V2_POD[4:-1] + "/cpu.max": "50000 100000\n"}, 0.5, id="v2: seen from the node"),
        pytest.param(V2_POD, {"kubepods.slice/cpu.max": "150000 100000\n", V2_POD[4:-1] + "/cpu.max": "max 100000\n"}, 1.5,
                     id="v2: a limit further up holds"),
        pytest.param("0::/\n", {"cpu.max": "max 100000\n"}, None, id="v2: no limit"),
        pytest.param("0::/../../system.slice\n", {"cpu.max": "100000 100000\n"}, 1.0, id="v2: outside the namespace"),
        pytest.param(V1_POD, {"cpu,cpuacct/cpu.cfs_quota_us": "250000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 2.5,
                     id="v1: a container sees the mount only"),
        pytest.param(V1_POD, {"cpu,cpuacct/kubepods/burstable/pod12/cpu.cfs_quota_us": "300000\n",
                              "cpu,cpuacct/kubepods/burstable/pod12/cpu.cfs_period_us": "100000\n",
                              "cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 3.0,
                     id="v1: the pod's limit"),
        pytest.param(HYBRID, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None,
                     id="v1: no limit, both versions mounted"),
        pytest.param("", {}, None, id="no control groups"),
    ],
)  # fmt: skip
def test_the_smallest_limit_of_all_levels_is_found(
    tmp_path: Path, groups: str, files: dict[str, str], limit: float | None
) -> None:
    files = {name.lstrip("/"): text for name, text in files.items()}
    found = [one for one in quotas(system(tmp_path, groups, files)) if one is not None]
    assert min(found, default=None) == limit


def test_here_it_is_no_more_than_what_the_process_is_pinned_to() -> None:
    assert 0 < usable_cpus() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    "text", ["", "max", "100000", "0 100000", "100000 0", "-5 100000", "a b", "1 2 3", "1.5 2"]
)
def test_what_is_no_limit_in_version_2_limits_nothing(text: str) -> None:
    assert quota_v2(text) is None


@pytest.mark.parametrize(
    ("quota", "period"), [("", ""), ("-1", "100000"), ("0", "1"), ("50000", ""), ("x", "100000")]
)
def test_what_is_no_limit_in_version_1_limits_nothing(quota: str, period: str) -> None:
    assert quota_v1(quota, period) is None


@given(st.text())
def test_any_text_of_groups_is_read(text: str) -> None:
    assert all(isinstance(path, str) for path in groups_of(text).values())


@given(st.integers(1, 256), st.lists(st.one_of(st.none(), st.floats(0.001, 300))))
def test_threads_fit_what_is_allowed(pinned: int, limits: list[float | None]) -> None:
    allowed = least(pinned, limits)
    assert 0 < allowed <= pinned
    assert 1 <= whole_threads(allowed) <= max(1.0, allowed)
