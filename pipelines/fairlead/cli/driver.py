"""``fairlead driver``: lead desired revisions to live, in a pod beside the models."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from fairlead.adapters.cluster_lease import Lease
    from fairlead.adapters.pages import Page
    from fairlead.release.figures import Figures

NAME = "driver"
EXAMPLES = "Example:  fairlead driver --namespaces fairlead-serving --lease-namespace fairlead-system"

STUCK = 120.0
"""Seconds without a turn after which the process is taken for stuck: several times the longest pause between turns."""


def command(
    namespaces: Annotated[
        str, typer.Option(envvar="FAIRLEAD_NAMESPACES", help="Namespaces with models, with commas between.")
    ],
    lease_namespace: Annotated[
        str, typer.Option(envvar="FAIRLEAD_LEASE_NAMESPACE", help="Namespace of the lease.")
    ],
    lease_name: Annotated[
        str, typer.Option(envvar="FAIRLEAD_LEASE_NAME", help="Name of the lease.")
    ] = "fairlead-driver",
    health_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of /livez, /readyz and /metrics; 0: none.")
    ] = 8080,
    health_host: Annotated[str, typer.Option(help="Address of that port.")] = "0.0.0.0",  # noqa: S104 - the kubelet asks
    interval: Annotated[float, typer.Option(min=0.05, max=60, help="Seconds between looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, do what is due, and end.")] = False,
) -> None:
    """Release desired revisions of models on Kubernetes, and put back what was reset.

    Reads KUBECONFIG, or the ServiceAccount of its pod. Several may run: the holder of the lease works, the others stand by.
    """
    from fairlead.adapters.asking import ask
    from fairlead.adapters.cluster import KubernetesCluster, connect
    from fairlead.adapters.cluster_lease import Lease
    from fairlead.adapters.pages import serve_pages
    from fairlead.release.act import Hands
    from fairlead.release.drive import Driver, run

    watched = names_of(namespaces)
    api = connect()
    lease = Lease(KubernetesCluster(api), lease_namespace, lease_name)
    driver = Driver(Hands(KubernetesCluster(api, lease.allow), ask), watched, time.time, say)
    pages = serve_pages(health_host, health_port, pages_of(lease, driver.figures)) if health_port else None
    wait = stopped_by_signals()
    take(lease, once=once)
    say("driver started", namespaces=",".join(watched), holder=lease.holder, leads=lease.leads(),
        trouble=lease.trouble)  # fmt: skip
    try:
        run(driver, lease, wait, interval, once=once)
    finally:
        lease.give_up()
        if pages:
            pages.shutdown()
        say("driver ended")
    refuse_errors(driver.figures, once=once)


def names_of(text: str) -> list[str]:
    """The namespaces of an option, in order, each once.

    Raises:
        ProjectError: There is none, or one is no name.
    """
    import re

    from fairlead.errors import ProjectError

    found = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    wrong = [name for name in found if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name)]
    if wrong or not found:
        raise ProjectError(
            f"--namespaces {text!r} names no namespaces", hint="For example: --namespaces team-a,team-b"
        )
    return found


def take(lease: Lease, *, once: bool) -> None:
    """Try for the lease, and go on trying in the background.

    Raises:
        ServiceError: A single look was asked for, and another driver holds the lease, or it cannot be read.
    """
    from fairlead.errors import ServiceError

    if not lease.try_once() and once:
        said = lease.trouble or "another driver holds it"
        raise ServiceError(f"the lease {lease.namespace}/{lease.name} cannot be taken: {said}",
                           hint="Leave the work to that driver, or check the rights on leases.")  # fmt: skip
    lease.keep()


def refuse_errors(figures: Figures, *, once: bool) -> None:
    """After a single look: raise ServiceError if something of it failed; the log says what."""
    from fairlead.errors import ServiceError

    if once and figures.errors:
        raise ServiceError(f"{figures.errors} looks or writes failed; the log above says which")


def pages_of(lease: Lease, figures: Figures) -> dict[str, Page]:
    """Liveness (the loop turns), readiness (leader or standby, and the lease can be read), metrics."""
    began = time.time()

    def livez() -> tuple[int, str]:
        silent = time.time() - max(figures.alive, began)
        return (200, "ok\n") if silent < STUCK else (503, f"no turn for {silent:.0f} s\n")

    def readyz() -> tuple[int, str]:
        if lease.trouble:
            return 503, f"the lease cannot be read or written: {lease.trouble}\n"
        return 200, "leader\n" if lease.leads() else "standby\n"

    return {"/livez": livez, "/readyz": readyz, "/metrics": lambda: (200, figures.text())}


def stopped_by_signals() -> Callable[[float], bool]:
    """A wait (seconds → whether to stop) that SIGTERM and SIGINT end, so that the action under way is finished first."""
    stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop.wait


def say(event: str, *, level: str = "info", **fields: Any) -> None:
    """One JSON log line on standard output."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    record = {
        "time": at,
        "level": level,
        "event": event,
        **{key: value for key, value in fields.items() if value != ""},
    }
    print(json.dumps(record, ensure_ascii=False), file=sys.stdout, flush=True)  # noqa: T201
