"""Process 1 of a cluster's node: `python -m singlenode.node STATE CACHE PAUSE_ARCHIVE`, started by `cluster up`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from ..pins import ADDONS
from ..places import Cache, State
from ..processes import Word
from . import certificates, components, configuration, isolation, network
from .supervisor import Supervisor, say, wait_for


def main() -> None:
    """Make the node and keep it running until it is killed."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # as process 1 it would be ignored otherwise
    state, cache, pause = State(Path(sys.argv[1])), Cache(Path(sys.argv[2])), sys.argv[3]
    isolation.make(state)
    network.make()
    certificates.make(state)
    configuration.write(state)

    supervisor = Supervisor(state)
    for name, command in components.control_plane(state, cache).items():
        supervisor.start(name, command)
    kubectl: list[Word] = [cache.programs / "kubectl", f"--kubeconfig={state.kubeconfig}"]
    wait_for("the API server", *kubectl, "get", "--raw", "/readyz")
    # before the kubelet, which would record a failed pull for the first pod
    wait_for(
        "the pause image", "ctr", "-a", state.containerd_socket, "-n", "k8s.io", "images", "import", pause
    )
    for name, command in components.workers(state, cache).items():
        supervisor.start(name, command)

    addons = components.addons(state, cache)
    say("all started, but for addons")
    while True:
        wanted = state.addon_names()
        for addon in (name for name in ADDONS if name in wanted and name not in supervisor.commands):
            if addon == "traefik":  # it gives up on API kinds that are not there yet
                wait_for("the kinds that Traefik watches", *kubectl, "wait", "--for=condition=Established",
                         "--timeout=1s", *components.TRAEFIK_KINDS)  # fmt: skip
            for name, command in addons[addon].items():
                supervisor.start(name, command)
        supervisor.turn()


if __name__ == "__main__":
    main()
