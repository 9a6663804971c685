"""Records for tables of decisions: a policy, and what one look sees."""

from typing import Any

from fairlead.release import names
from fairlead.release.journal import Journal, Phase, Release, Stamp, Window
from fairlead.release.objects import slot_annotations, slot_template
from fairlead.release.observed import Deployed, Desired, Observed, Pods, Pointer, Scaler, Slot, Traffic
from fairlead.release.policy import Policy

NOW = 10_000.0


def policy(backend: str = "gateway", floor: int = 1) -> Policy:
    return Policy.model_validate({
        "model": "m", "traffic": {"backend": backend, "route": "m" if backend == "gateway" else None},
        "scale": {"floor": floor}, "windowSeconds": 60, "readySeconds": 100, "drainSeconds": 5,
    })  # fmt: skip


def stamp(revision: str, probe: str = '{"rows": [{"x": 1}]}') -> Stamp:
    return Stamp(
        revision=revision, template={"metadata": {"labels": {}}, "spec": {"image": revision}}, probe=probe
    )


def desired(revision: str, retry: str = "") -> Desired:
    return Desired(stamp(revision), retry)


def running(revision: str, slot: str, *, pods: int = 1, ready: int | None = None, floor: int = 1, ceiling: int = 10,
            leaving: int = 0, pending: str = "", scaler: bool = True, **changes: Any) -> Slot:  # fmt: skip
    """A slot with *pods* pods of *revision*, all of them ready unless said otherwise."""
    ready = pods if ready is None else ready
    fields = {"version": "1", "annotations": slot_annotations(stamp(revision)), "owner": "uid",
              "template": slot_template(stamp(revision), "m", slot), "replicas": pods, "total": pods, "updated": pods,
              "ready": ready, "current": True} | changes  # fmt: skip
    return Slot(Deployed(**fields), Pods(leaving, pending), Scaler("1", floor, ceiling) if scaler else None)


def empty(floor: int = 1) -> Slot:
    return Slot(scaler=Scaler("1", floor, 10))


def seen(blue: Slot, green: Slot, led: str | None, service: str | None = "same") -> Observed:
    """A look: two slots, and where the route (and the live Service) lead."""
    service = led if service == "same" else service
    return Observed("ns", "m-policy", "uid", {"blue": blue, "green": green},
                    Traffic(Pointer("1", led), None, Pointer("1", service)), "1")  # fmt: skip


def settled(live: str = "blue", revision: str = "r1", **others: str) -> Journal:
    """A journal in which *revision* is live, and *others* are the stamps of further slots."""
    return Journal(
        live=live, slots={live: stamp(revision), **{slot: stamp(name) for slot, name in others.items()}}
    )


def releasing(phase: Phase, *, since: float = NOW, **changes: Any) -> Journal:
    """A journal in which r1 is live in blue, and r2 is on its way in green."""
    fields = {
        "slot": "green",
        "revision": "r2",
        "phase": phase,
        "started": since,
        "since": since,
        "replicas": 1,
    } | changes
    return settled(green="r2").but(release=Release(**fields))


def warm(since: float = NOW, until: float = NOW + 60, replicas: int = 1) -> Journal:
    """A journal in which r2 is live in green, and r1 warm in blue."""
    journal = settled("green", "r2", blue="r1")
    return journal.but(window=Window(slot="blue", since=since, until=until, replicas=replicas))


SLOTS = names.SLOTS
