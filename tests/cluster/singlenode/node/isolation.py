"""Private mounts: two clusters, or a cluster and its host, never meet in a path that a component has compiled in."""

from __future__ import annotations

import json
from pathlib import Path

from ..places import State
from ..processes import Word, run

# The kubelet insists on these kernel settings and would set them for the whole machine. It is shown files that
# hold what it wants.
KUBELET_SETTINGS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}


def make(state: State) -> None:
    """Mount all that is private to the node."""
    run("mount", "--make-rshared", "/")  # containers may ask for shared propagation
    _control_groups(state)
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")  # shim sockets, network namespaces, locks
    _bind(state.root / "kubelet", "/var/lib/kubelet")
    _bind(state.root / "cni-cache", "/var/lib/cni")
    _bind(state.logs / "pods", "/var/log/pods")
    _bind(state.logs / "containers", "/var/log/containers")
    for key, value in KUBELET_SETTINGS.items():
        shown = state.root / "sysctl" / key
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.write_text(f"{value}\n")
        run("mount", "--bind", shown, f"/proc/sys/{key}")


def _bind(source: Word, target: Word) -> None:
    Path(source).mkdir(parents=True, exist_ok=True)
    Path(target).mkdir(parents=True, exist_ok=True)
    run("mount", "--bind", source, target)


def _control_groups(state: State) -> None:
    """A group for the cluster in every hierarchy, at the path that its processes see.

    On version 1 a cgroup namespace hides the path this machine put us under, and yet the mounts still show the
    whole tree. Each is shown from that path down, so that /proc/*/cgroup and the directories agree again.
    """
    for mount, path in json.loads(state.cgroup_mounts.read_text()).items():
        if path != "/":
            run("mount", "--bind", mount + path, mount)
        group = Path(mount, state.cgroup.lstrip("/"))
        group.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):  # empty in a new cpuset of version 1: no task could enter
            if (group / file).exists() and not (group / file).read_text().strip():
                (group / file).write_text(Path(mount, file).read_text())
