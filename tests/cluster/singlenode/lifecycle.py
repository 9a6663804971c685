"""Starts a cluster's node and ends it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .access import init_pid, is_up
from .bases import PAUSE_IMAGE, build_bases
from .buildah import Buildah
from .failures import Failure
from .pins import ADDONS
from .places import HERE, STATES, Cache, State
from .programs import build
from .readiness import Wait, wait_until_usable
from .requirements import require
from .stamps import locked


def build_all(cache: Cache) -> None:
    """Make everything a cluster needs, as far as it is not there."""
    build(cache)
    build_bases(cache)


def up(addons: Sequence[str], cache: Cache, state: State, *, seconds: float) -> None:
    """Make the cluster run with *addons* and return when it is usable. On a running one it only checks.

    Raises:
        Unavailable: this machine cannot run a cluster.
        Failure: it did not come up within *seconds*, or runs with other addons.
    """
    with locked(_lock(state)):
        began = time.monotonic()
        if not is_up(state):
            require()
        build_all(cache)
        if not is_up(state):
            _remove(state)
            _start(addons, cache, state)
        elif missing := set(addons) - set(state.addon_names()):
            raise Failure(f"it is up without {', '.join(sorted(missing))}: `cluster start` adds them")
        wait_until_usable(Wait.of(cache, state, seconds))
        print(f"cluster {state.name} is up ({time.monotonic() - began:.1f} s)")


def down(state: State) -> None:
    """End the cluster and delete all it had."""
    with locked(_lock(state)):
        _remove(state)


def write_addons(names: Sequence[str], state: State) -> None:
    """Say which addons the cluster has, each once and in the order in which they start."""
    unfinished = state.addons.with_suffix(".unfinished")
    unfinished.write_text("\n".join(addon for addon in ADDONS if addon in names))
    unfinished.replace(state.addons)


def _lock(state: State) -> Path:
    return STATES / f"{state.name}.lock"


def _start(addons: Sequence[str], cache: Cache, state: State) -> None:
    for folder in (state.logs, state.run, state.pids, state.loaded, state.root / "kubelet"):
        folder.mkdir(parents=True)
    groups = cgroup_mounts(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mounts").read_text())
    state.cgroup_mounts.write_text(json.dumps(groups))
    write_addons(addons, state)
    pause = Buildah(cache).archive(PAUSE_IMAGE)
    # A cgroup namespace is needed on version 1 only: there the kubelet's paths must start at our own group.
    own_groups = [] if "/sys/fs/cgroup" in groups else ["--cgroup"]
    with (state.logs / "node.log").open("ab") as log:
        outer = subprocess.Popen(
            ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", *own_groups,
             sys.executable, "-m", "singlenode.node", str(state.root), str(cache.root), str(pause)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
            env={**os.environ, "PYTHONPATH": str(HERE)},
        )  # fmt: skip
    _note_init_pid(outer, state)


def _note_init_pid(outer: subprocess.Popen[bytes], state: State) -> None:
    """The only child of `unshare` is the node's process 1."""
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    for _ in range(100):
        found = children.read_text().split() if outer.poll() is None else []
        if found:
            (state.root / "init.pid").write_text(found[0])
            if is_up(state):
                return
        time.sleep(0.05)
    raise Failure(f"the node did not start; see {state.logs}/node.log")


def _remove(state: State) -> None:
    if pid := init_pid(state):
        # The kernel kills all others in its namespace; the mounts and the network go with the last of them.
        os.kill(pid, signal.SIGKILL)
        for _ in range(200):
            if not Path(f"/proc/{pid}").exists():
                break
            time.sleep(0.05)
    if not state.root.exists():
        return
    if state.cgroup_mounts.exists():
        for mount, path in json.loads(state.cgroup_mounts.read_text()).items():
            _remove_cgroups(Path(mount + path, state.cgroup.lstrip("/")))
    if f" {state.root}/" in Path("/proc/self/mounts").read_text():
        raise Failure(f"something is still mounted under {state.root}: not deleting it")
    shutil.rmtree(state.root)


def _remove_cgroups(root: Path) -> None:
    for folder in sorted((path for path in (root, *root.rglob("*")) if path.is_dir()), reverse=True):
        for _ in range(20):  # its last task may still be leaving
            try:
                folder.rmdir()
                break
            except OSError:
                time.sleep(0.05)


def cgroup_mounts(own: str, mounts: str) -> dict[str, str]:
    """Where each hierarchy of control groups is mounted, and our own path in it.

    Args:
        own: The text of /proc/self/cgroup: `NUMBER:CONTROLLERS:PATH` a line.
        mounts: The text of /proc/self/mounts: `DEVICE MOUNT KIND OPTIONS …` a line.

    Version 2, alone or beside version 1, has an empty list of controllers.

    >>> cgroup_mounts("2:cpu,cpuacct:/job", "none /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0")
    {'/sys/fs/cgroup/cpu': '/job'}
    """
    paths = {}
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        paths.update(dict.fromkeys(controllers.split(","), path))
    found = {}
    for line in mounts.splitlines():
        _, mount, kind, options, *_ = line.split()
        if kind == "cgroup":
            named = [option for option in options.split(",") if option in paths]
            found.update({mount: paths[named[0]]} if named else {})
        elif kind == "cgroup2":
            found[mount] = "/" if mount == "/sys/fs/cgroup" else paths.get("", "/")
    return found
