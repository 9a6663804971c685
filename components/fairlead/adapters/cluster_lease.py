"""Which of several processes may write: a Lease, as Kubernetes' own controllers use it.

The client library brings an election of its own; it keeps an annotation on a ConfigMap instead of a Lease, runs the work in a
thread that it cannot stop, and has no way to ask whether one leads *now*. This one answers that question before each write.

A holder counts from before it asked to renew, by its own monotonic clock, which goes on while the process is stopped. A rival
counts from when it saw the last renewal, by its own. So no clocks are compared, and a holder that was stopped knows on its first
step that its time is over.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fairlead.adapters.cluster import KubernetesCluster, Object
from fairlead.errors import Conflict, NotFound, ServiceError


def identity() -> str:
    """A name no other process has: host (the pod's name), process, and something random for restarts in one pod."""
    return f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4().hex[:6]}"


@dataclass
class Lease:
    """One process's view of the lease."""

    cluster: KubernetesCluster
    """With no guard: the lease itself is what guards the rest."""
    namespace: str
    name: str
    holder: str = field(default_factory=identity)
    duration: float = 15.0
    """Seconds after which a lease that is not renewed may be taken."""
    spare: float = 6.0
    """Seconds before its end from which the holder writes no more: longer than a request may take."""
    clock: Callable[[], float] = time.monotonic
    trouble: str = "nothing was tried yet"
    """Why the lease could not be read or written at the last try; empty if it could."""
    term: str = ""
    """Names this leadership if it was not handed over: the holder before may still have a write under way."""
    _until: float = float("-inf")
    _seen: tuple[Any, ...] = ()
    _since: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def leads(self) -> bool:
        """Whether this process holds the lease for long enough to finish a request."""
        return self.clock() < self._until - self.spare

    def allow(self) -> None:
        """Return if this process may write now.

        Raises:
            Conflict: It does not hold the lease, or not for long enough.
        """
        if not self.leads():
            raise Conflict(
                f"{self.holder} does not hold the lease {self.namespace}/{self.name}: nothing is written"
            )

    def try_once(self) -> bool:
        """Renew the lease, or take it if it is free or has run out; whether this process holds it now."""
        asked = self.clock()
        try:
            held = self._try(asked)
        except Conflict:
            held = False  # someone was faster
        except ServiceError as error:
            self.trouble = str(error)
            return self.leads()
        self.trouble = ""
        self._until = asked + self.duration if held else float("-inf")
        return held

    def _try(self, asked: float) -> bool:
        try:
            lease = self.cluster.get("Lease", self.namespace, self.name)
        except NotFound:
            made = self.cluster.create(self._body({}, changed=True))
            self.term = self._name_of(made)
            return True
        spec = lease.get("spec", {})
        seen = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
        if seen != self._seen:
            self._seen, self._since = seen, asked
        ours = spec.get("holderIdentity") == self.holder
        free = not spec.get("holderIdentity") or asked - self._since > float(
            spec.get("leaseDurationSeconds") or 0
        )
        if not (ours or free):
            return False
        made = self.cluster.replace(self._body(lease, changed=not ours))
        if not ours:
            self.term = self._name_of(made) if spec.get("holderIdentity") else ""
        return True

    def _name_of(self, lease: Object) -> str:
        return f"{self.holder}/{lease['spec']['acquireTime']}"

    def _body(self, lease: Object, *, changed: bool, holder: str | None = None) -> Object:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec = {**lease.get("spec", {}), "holderIdentity": self.holder if holder is None else holder,
                "renewTime": now, "leaseDurationSeconds": int(self.duration)}  # fmt: skip
        if changed:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = spec.get("leaseTransitions", -1) + 1
        metadata = lease.get("metadata") or {"name": self.name, "namespace": self.namespace}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}

    def keep(self, every: float = 2.0) -> None:
        """Start a thread that goes on trying until :meth:`give_up`."""

        def go_on() -> None:
            while not self._stop.wait(every if self.leads() else every / 2):
                self.try_once()

        self._thread = threading.Thread(target=go_on, name="lease", daemon=True)
        self._thread.start()

    def give_up(self) -> None:
        """Stop renewing and let the next one in at once."""
        self._stop.set()
        if self._thread:
            self._thread.join(self.spare)
        held, self._until = self.leads(), float("-inf")
        if not held:
            return
        try:
            lease = self.cluster.get("Lease", self.namespace, self.name)
            if lease.get("spec", {}).get("holderIdentity") == self.holder:
                self.cluster.replace(self._body(lease, changed=False, holder=""))
        except (ServiceError, NotFound):
            return  # it runs out by itself
