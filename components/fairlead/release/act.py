"""Do what was decided: one function an action, one write a function, on the resourceVersion that was seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fairlead.errors import Conflict, ServiceError
from fairlead.release import names, objects
from fairlead.release.actions import (
    Action,
    CreateSlot,
    Notice,
    ProbeSlot,
    Record,
    ScaleSlot,
    SetFloor,
    SetRules,
    SetSelector,
    StampSlot,
    TakeLook,
)
from fairlead.release.journal import Journal, Stamp
from fairlead.release.looks import Arms, first, judged, look_record
from fairlead.release.objects import Object
from fairlead.release.observe import Cluster, selector
from fairlead.release.observed import Deployed, Observed, Pointer
from fairlead.release.policy import Policy
from fairlead.release.probe import Ask, probe
from fairlead.release.readings import Arm, arm_of

SERVICE_URL = "http://{service}.{namespace}.svc"
METRICS_SECONDS = 2.0
"""For the counters of one pod."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The counters at the end of a look."""

    where: tuple[float, int]
    """Begin of the release, and number of the step: looks never span two weights."""
    arms: Arms


@dataclass(frozen=True, slots=True)
class Hands:
    """What acting needs: the cluster, and a way to ask a slot."""

    cluster: Cluster
    ask: Ask
    memory: dict[tuple[str, str], Sight] = field(default_factory=dict)
    """By namespace and model: what the last look saw."""
    keep: Callable[[str, str, Mapping[str, Any]], None] = lambda *_: None
    """Told of each look (namespace, model, :func:`fairlead.release.looks.look_record`); it may lag, and nothing waits for it."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What was decided on."""

    policy: Policy
    observed: Observed
    journal: Journal | None

    @property
    def namespace(self) -> str:
        """Where the model lives."""
        return self.observed.namespace

    def metadata(self, name: str, version: str) -> Object:
        """Name and resourceVersion of an object to be written."""
        return {"name": name, "namespace": self.namespace, "resourceVersion": version}

    def owner(self) -> Object:
        """The reference by which the policy owns what the driver makes."""
        return objects.owner_reference(self.observed.policy_name, self.observed.policy_uid)


def act(hands: Hands, scene: Scene, action: Action, now: float) -> None:
    """Do one action.

    Raises:
        Conflict: The object has moved on since it was seen, or this driver leads no more.
        ServiceError: Kubernetes is not reachable, or refuses.
    """
    match action:
        case Record():
            write_journal(hands.cluster, scene, action.journal)
            for notice in action.notices:
                tell(hands.cluster, scene, notice, now)
        case CreateSlot():
            body = objects.deployment(
                scene.namespace, scene.policy, action.slot, action.stamp, action.replicas, scene.owner()
            )
            _remember_answer(hands.cluster, scene, action.slot, action.stamp, hands.cluster.create(body))
        case StampSlot():
            _stamp(hands.cluster, scene, action)
        case ScaleSlot():
            name = names.slot_name(scene.policy.model, action.slot)
            hands.cluster.scale(scene.namespace, name, action.replicas, _deployed(scene, action.slot).version)
        case SetFloor() | SetRules() | SetSelector():
            hands.cluster.apply(applied(scene, action))
        case ProbeSlot():
            _probe(hands, scene, action, now)
        case TakeLook():
            _look(hands, scene, now)


def write_journal(cluster: Cluster, scene: Scene, journal: Journal) -> None:
    """Make or overwrite the journal's ConfigMap."""
    labels = {names.MODEL: scene.policy.model, names.ROLE: "journal"}
    body: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": names.journal_name(scene.policy.model), "namespace": scene.namespace, "labels": labels,
                     "ownerReferences": [scene.owner()]},
        "data": {"journal.json": journal.to_json()},
    }  # fmt: skip
    if scene.observed.journal_version is None:
        cluster.create(body)
    else:
        body["metadata"]["resourceVersion"] = scene.observed.journal_version
        cluster.replace(body)


def tell(cluster: Cluster, scene: Scene, notice: Notice, now: float) -> None:
    """Make an event on the policy ConfigMap. Best effort: a lost event is no reason to stop."""
    try:
        cluster.create(
            objects.event(scene.namespace, scene.observed.policy_name, scene.observed.policy_uid, notice, now)
        )
    except ServiceError:
        return


def applied(scene: Scene, action: SetFloor | SetRules | SetSelector) -> Object:
    """The body of a server-side apply: the fields the driver owns and nothing else."""
    model, traffic = scene.policy.model, scene.observed.traffic
    match action:
        case SetFloor():
            scaler = scene.observed.slots[action.slot].scaler
            metadata = scene.metadata(names.slot_name(model, action.slot), scaler.version if scaler else "")
            return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata,
                    "spec": {"minReplicas": action.replicas}}  # fmt: skip
        case SetRules():
            pointer = traffic.route if action.route == scene.policy.traffic.route else traffic.preview
            return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
                    "metadata": scene.metadata(action.route, _version(pointer)),
                    "spec": {"rules": objects.rules(scene.policy, action.weights)}}  # fmt: skip
        case SetSelector():
            return {"apiVersion": "v1", "kind": "Service", "metadata": scene.metadata(model, _version(traffic.service)),
                    "spec": {"selector": objects.slot_labels(model, action.slot)}}  # fmt: skip


def _stamp(cluster: Cluster, scene: Scene, action: StampSlot) -> None:
    """Overwrite template, annotations and owner.

    A JSON patch, because it can leave the number of pods out and drops what others added to the template.
    """
    wanted = objects.slot_template(action.stamp, scene.policy.model, action.slot)
    deployed = _deployed(scene, action.slot)
    others = {key: value for key, value in deployed.annotations.items() if key not in names.STAMPED}
    changes: Mapping[str, Any] = {
        "/metadata/resourceVersion": deployed.version,
        "/metadata/annotations": {**others, **objects.slot_annotations(action.stamp)},
        "/metadata/ownerReferences": [scene.owner()],
        "/spec/template": wanted,
    }
    operations = [{"op": "add", "path": path, "value": value} for path, value in changes.items()]
    name = names.slot_name(scene.policy.model, action.slot)
    answer = cluster.patch("Deployment", scene.namespace, name, operations)
    _remember_answer(cluster, scene, action.slot, action.stamp, answer)


def _remember_answer(cluster: Cluster, scene: Scene, slot: str, stamp: Stamp, answer: Object) -> None:
    """Admission may change a template; what it made of ours is no drift, and is written down once."""
    found = objects.digest(objects.seen_template(answer))
    expected = stamp.answered or objects.digest(objects.slot_template(stamp, scene.policy.model, slot))
    if found == expected or scene.journal is None:
        return
    stamps = {**scene.journal.slots, slot: stamp.model_copy(update={"answered": found})}
    write_journal(cluster, scene, scene.journal.but(slots=stamps))


def _probe(hands: Hands, scene: Scene, action: ProbeSlot, now: float) -> None:
    release = scene.journal.release if scene.journal else None
    if scene.journal is None or release is None:
        return
    service = names.slot_name(scene.policy.model, action.slot)
    base = SERVICE_URL.format(service=service, namespace=scene.namespace)
    found = probe(hands.ask, base, scene.policy.probe, action.stamp.probe)
    result = {"tries": release.tries + 1, "tried": now, "passed": found.passed, "said": found.said[:300]}
    write_journal(hands.cluster, scene, scene.journal.but(release=release.model_copy(update=result)))


def _look(hands: Hands, scene: Scene, now: float) -> None:
    """Read the counters of both slots; compare them with those of the look before, if it was at the same weight."""
    journal = scene.journal
    release = journal.release if journal else None
    if journal is None or release is None or release.shift is None or journal.live is None:
        return
    key, where = (scene.namespace, scene.policy.model), (release.started, release.shift.step)
    arms = {slot: _arm(hands, scene, slot, now) for slot in (journal.live, release.slot)}
    before = hands.memory.get(key)
    if before is None or before.where != where:
        shift = first(scene.policy, journal, release.shift, arms, now)
    else:
        shift, look, verdict = judged(scene.policy, journal, release, release.shift, before.arms, arms, now)
        hands.keep(scene.namespace, scene.policy.model, look_record(release, shift, look, verdict))
    write_journal(hands.cluster, scene, journal.but(release=release.model_copy(update={"shift": shift})))
    if not any(arm.problem for arm in arms.values()):  # else the next look is compared with the one before
        hands.memory[key] = Sight(where, arms)


def _arm(hands: Hands, scene: Scene, slot: str, now: float) -> Arm:
    """The counters of a slot's pods, each asked by itself: a Service would answer for one of them."""
    labels = selector(objects.slot_labels(scene.policy.model, slot))
    texts = {}
    for pod in hands.cluster.find("Pod", scene.namespace, labels):
        name, url = pod["metadata"]["name"], objects.pod_url(pod)
        if not url:
            continue  # it has no address yet, so it has answered nothing
        try:
            status, body = hands.ask(f"{url}/metrics", None, METRICS_SECONDS)
        except OSError as error:
            return Arm(now, problem=f"pod {name} does not tell its counters: {error}")
        if status != 200:
            return Arm(now, problem=f"pod {name} does not tell its counters: status {status}")
        texts[name] = body.decode(errors="replace")
    return arm_of(texts, now)


def _deployed(scene: Scene, slot: str) -> Deployed:
    deployed = scene.observed.slots[slot].deployed
    if deployed is None:
        raise Conflict(f"slot {slot} of {scene.policy.model} has no Deployment any more")
    return deployed


def _version(pointer: Pointer | None) -> str:
    if pointer is None:
        raise Conflict("the object to be written is not there any more")
    return pointer.version
