"""Running commands inside a cluster: in its network, with its names, as its administrator."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from .failures import Failure
from .places import GATEWAY_IP, NODE_IP, TOOL, Cache, State
from .processes import Word, run, succeeds

# A private mount of resolv.conf, so that the command finds the cluster's own names.
_WITH_RESOLVER = 'mount --bind "$0" /etc/resolv.conf; exec "$@"'


def init_pid(state: State) -> int | None:
    """The node's process 1, by its number outside; None when the cluster is down."""
    try:
        pid = int((state.root / "init.pid").read_text())
        # a process number comes round again: make sure that it is still our node
        is_ours = f"\0{state.root}\0".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return None
    return pid if is_ours else None


def is_up(state: State) -> bool:
    """Whether the cluster's node runs."""
    return init_pid(state) is not None


def require_up(state: State) -> int:
    """The node's process 1, or a Failure."""
    pid = init_pid(state)
    if pid is None:
        raise Failure(f"cluster {state.name} is not up: `cluster up` starts it")
    return pid


def inside(state: State, *command: Word, mounts: bool = False) -> list[Word]:
    """*command* as it must be called to run in the node's network, and among its *mounts* if asked."""
    namespaces = ["--net", *(["--mount"] if mounts else [])]
    return ["nsenter", "--target", str(require_up(state)), *namespaces, "--", *command]


def environment(cache: Cache, state: State) -> dict[str, str]:
    """What a command inside the cluster finds in its environment."""
    return {
        **os.environ,
        "PATH": f"{cache.programs}:{os.environ['PATH']}",
        "KUBECONFIG": str(state.kubeconfig),
        "CLUSTER_NAME": state.name,
        "CLUSTER_TOOL": str(TOOL),  # how tests reach `kill`, `start` and the like
        "CLUSTER_NODE_IP": NODE_IP,
        "CLUSTER_GATEWAY": f"{GATEWAY_IP}:80",
    }


def execute(command: list[str], cache: Cache, state: State) -> NoReturn:
    """Become *command*: the machine's files, the cluster's network and names."""
    resolver = state.config / "resolv.conf"
    entered = inside(state, "unshare", "--mount", "sh", "-c", _WITH_RESOLVER, resolver, *command)
    os.execvpe("nsenter", [str(word) for word in entered], environment(cache, state))


def kubectl(cache: Cache, state: State, *words: Word, show: bool = False) -> str:
    """What `kubectl` says, or a Failure."""
    return run(*inside(state, cache.programs / "kubectl", *words), env=environment(cache, state), show=show)


def kubectl_succeeds(cache: Cache, state: State, *words: Word) -> bool:
    """Whether `kubectl` ends with 0."""
    return succeeds(*inside(state, cache.programs / "kubectl", *words), env=environment(cache, state))


def containerd(state: State, *words: Word) -> str:
    """What containerd's own client says about the cluster's images and containers."""
    client: list[Word] = ["ctr", "--address", state.containerd_socket, "--namespace", "k8s.io"]
    return run(*inside(state, *client, *words, mounts=True))
