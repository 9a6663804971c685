"""What makes a cluster usable: its manifests applied, and each part seen at work."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from .access import inside, is_up, kubectl, kubectl_succeeds
from .failures import Failure
from .places import DNS_SERVICE_IP, HERE, NODE_IP, Cache, State
from .processes import Word, succeeds
from .programs import crd_files

APPLY: tuple[Word, ...] = ("apply", "--server-side", "--force-conflicts", "-f")

# Asks the cluster's DNS service for kubernetes.default over UDP, without a resolver that would cache the answer.
DNS_PROBE = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
labels = (b"kubernetes", b"default", b"svc", b"cluster", b"local")
name = b"".join(bytes([len(label)]) + label for label in labels) + b"\\0"
s.sendto(b"\\0\\1\\1\\0\\0\\1" + b"\\0" * 6 + name + b"\\0\\1\\0\\1", ("{DNS_SERVICE_IP}", 53))
assert s.recv(512).endswith(bytes([10, 202, 0, 1]))
"""
PROMETHEUS_PROBE = f"import urllib.request as u; u.urlopen('http://{NODE_IP}:9090/-/ready')"
POSTGRES_PROBE = f"import socket; socket.create_connection(('{NODE_IP}', 5432), 1)"


@dataclass(frozen=True)
class Wait:
    """Patience with one cluster.

    Attributes:
        seconds: How long, for all it waits for together.
        end: When that is over, by the monotonic clock.
    """

    cache: Cache
    state: State
    seconds: float
    end: float

    @classmethod
    def of(cls, cache: Cache, state: State, seconds: float) -> Wait:
        """Patience for *seconds* from now."""
        return cls(cache, state, seconds, time.monotonic() + seconds)

    def until(self, what: str, test: Callable[[], bool]) -> None:
        """Return when *test* is true.

        Raises:
            Failure: the node ended, or the time is over.
        """
        while not test():
            if not is_up(self.state):
                raise Failure(f"the node ended; see {self.state.logs}/node.log")
            if time.monotonic() > self.end:
                raise Failure(f"waited {self.seconds:.0f} s for {what}; see {self.state.logs}")
            time.sleep(0.2)

    def kubectl(self, *words: Word) -> bool:
        """Whether `kubectl` ends with 0."""
        return kubectl_succeeds(self.cache, self.state, *words)

    def condition(self, name: str, *what: Word) -> bool:
        """Whether an object has the condition *name*."""
        return self.kubectl("wait", f"--for=condition={name}", "--timeout=1s", *what)

    def python(self, code: str) -> bool:
        """Whether Python *code* ends well in the cluster's network."""
        return succeeds(*inside(self.state, sys.executable, "-c", code))

    def manifests(self, name: str) -> None:
        """Apply a file of ours; again if need be, for a namespace's first object can race with the namespace."""
        file = HERE / "manifests" / f"{name}.yaml"
        self.until(f"the manifests of {name}", lambda: self.kubectl(*APPLY, file))


def wait_until_usable(wait: Wait) -> None:
    """Apply all manifests and return when every part of the cluster has answered."""
    wait.until("the API server", lambda: wait.kubectl("get", "--raw", "/readyz"))
    addons = wait.state.addon_names()
    if "traefik" in addons:
        _apply_crds(wait.cache, wait.state)
    for name in ("core", *addons):
        wait.manifests(name)
    wait.until("the node", lambda: wait.condition("Ready", "node/node0"))
    wait.until("the default ServiceAccount", lambda: wait.kubectl("get", "serviceaccount", "default"))
    wait.until("the cluster's DNS", lambda: wait.python(DNS_PROBE))
    for name in addons:
        wait.until(name, ADDON_PROBES[name](wait))


def wait_for_addon(name: str, wait: Wait) -> None:
    """Apply the manifests of one addon, which the node is starting, and return when it answers."""
    if name == "traefik":
        _apply_crds(wait.cache, wait.state)
    wait.manifests(name)
    wait.until(name, ADDON_PROBES[name](wait))


# How each addon shows that it works.
ADDON_PROBES: dict[str, Callable[[Wait], Callable[[], bool]]] = {
    "metrics-server": lambda wait: lambda: wait.condition("Available", "apiservice/v1beta1.metrics.k8s.io"),
    "prometheus": lambda wait: lambda: wait.python(PROMETHEUS_PROBE),
    "postgres": lambda wait: lambda: wait.python(POSTGRES_PROBE),
    "traefik": lambda wait: lambda: wait.condition("Programmed", "-n", "gateway-system", "gateway/gateway"),
}


def _apply_crds(cache: Cache, state: State) -> None:
    for path in crd_files():
        kubectl(cache, state, *APPLY, path)
    kubectl(cache, state, "wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
