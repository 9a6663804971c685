"""The loop: observe, decide, act, and again, for every model of some namespaces.

One model's trouble is no other model's: what cannot be read or written is logged, counted and tried again at the next turn,
after a pause that grows while Kubernetes does not answer at all. Nothing here ends the process but the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fairlead.errors import Conflict, FairleadError, ServiceError
from fairlead.release import names
from fairlead.release.act import Hands, Scene, act
from fairlead.release.actions import Record
from fairlead.release.decide import decide
from fairlead.release.figures import Figures
from fairlead.release.observe import Cluster, Model, observe

ROUNDS = 20
"""Looks at a namespace in one turn: each step of a release takes one, and a fault must not keep the others waiting."""

CONFLICTS = 3
"""Refused writes after which a turn ends early: a stranger may hold a name for good, and is not fought for."""

OVERWRITTEN = (("ConfigMap", f"{names.ROLE}=journal"), ("Deployment", names.MODEL), ("HorizontalPodAutoscaler", names.MODEL),
               ("Service", names.MODEL), ("HTTPRoute", names.MODEL))  # fmt: skip
"""Kinds and labels of what drivers write over."""

LONGEST_PAUSE = 30.0
"""Seconds between turns while Kubernetes does not answer."""

Say = Callable[..., None]
"""Writes one log line: an event in words, and fields."""


class Leadership(Protocol):
    """Whether this process may write."""

    term: str
    """Names this leadership if the one before it may still have a write under way; else empty."""

    def leads(self) -> bool:
        """Whether the lease is held, with time to spare."""


@dataclass
class Driver:
    """Drives the releases of some namespaces."""

    hands: Hands
    namespaces: Sequence[str]
    clock: Callable[[], float]
    """Seconds since 1970."""
    say: Say
    figures: Figures = field(default_factory=Figures)
    _known: dict[tuple[str, str], str] = field(default_factory=dict)
    """The last trouble of each model, so that it is logged once and not every second."""

    _term: str = ""

    def take_over(self, term: str) -> bool:
        """Fence off an earlier leader, once a *term*; whether that is done."""
        if term in ("", self._term):
            return True
        try:
            for namespace in self.namespaces:
                fence(self.hands.cluster, namespace, term)
        except ServiceError as error:
            self._trouble("", "", error)
            return False
        self._term = term
        self._recovered("", "")
        return True

    def turn(self) -> bool:
        """Look at every namespace until nothing is left to do; whether Kubernetes answered."""
        began, answered = self.clock(), True
        for namespace in self.namespaces:
            try:
                self._settle(namespace)
                self._recovered(namespace, "")
            except ServiceError as error:
                answered = False
                self._trouble(namespace, "", error)
        self.figures.turned(self.clock(), self.clock() - began, answered=answered)
        return answered

    def _settle(self, namespace: str) -> None:
        """Observe, decide and act on a namespace until a look leaves nothing to do."""
        before = self.figures.conflicts
        for _ in range(ROUNDS):
            models = observe(self.hands.cluster, namespace)
            busy = [self._step(model) for model in models]
            if not any(busy) or self.figures.conflicts - before >= CONFLICTS:
                return

    def _step(self, model: Model) -> bool:
        """Do what one look at one model asks for; whether there is reason to look again at once."""
        if model.policy is None:
            self._trouble(model.observed.namespace, model.name, model.error or FairleadError("no policy"))
            return False
        scene = Scene(model.policy, model.observed, model.journal)
        actions = decide(model.policy, model.desired, model.observed, model.journal, self.clock())
        try:
            for action in actions:
                act(self.hands, scene, action, self.clock())
                self._done(model, action)
        except Conflict as error:
            self.say("looks again", namespace=scene.namespace, model=model.name, why=error.message)
            self.figures.conflicts += 1
            return True
        except FairleadError as error:
            self._trouble(scene.namespace, model.name, error)
            return False
        self._recovered(scene.namespace, model.name)
        return bool(actions)

    def _done(self, model: Model, action: Any) -> None:
        details = {"slot": action.slot} if hasattr(action, "slot") else {}
        self.say(
            type(action).__name__,
            namespace=model.observed.namespace,
            model=model.name,
            why=action.why,
            **details,
        )
        self.figures.acted(type(action).__name__)
        if isinstance(action, Record):
            known = model.journal.outcomes if model.journal else ()
            for outcome in action.journal.outcomes:
                if outcome not in known:
                    self.figures.ended(outcome.what.value)

    def _trouble(self, namespace: str, model: str, error: FairleadError) -> None:
        self.figures.errors += 1
        if self._known.get((namespace, model)) != error.message:
            self._known[namespace, model] = error.message
            self.say("trouble", level="error", namespace=namespace, model=model, error=type(error).__name__,
                     message=error.message, hint=error.hint)  # fmt: skip

    def _recovered(self, namespace: str, model: str) -> None:
        if self._known.pop((namespace, model), None):
            self.say("works again", namespace=namespace, model=model)


def fence(cluster: Cluster, namespace: str, term: str) -> None:
    """Give every object that a driver overwrites a new resourceVersion.

    A leader that was stopped between asking whether it leads and sending its write would send it when it goes on, long after
    its lease ran out. Such a write carries the resourceVersion of a look from before; after this, all of those are outdated.
    """
    if not cluster.find("ConfigMap", namespace, f"{names.ROLE}=policy"):
        return
    for kind, labels in OVERWRITTEN:
        for item in cluster.find(kind, namespace, labels):
            cluster.annotate(kind, namespace, item["metadata"]["name"], {names.TERM: term})


def run(
    driver: Driver,
    leadership: Leadership,
    wait: Callable[[float], bool],
    interval: float,
    *,
    once: bool = False,
) -> None:
    """Turn until told to stop; turns that do not lead do nothing.

    Args:
        driver: What turns.
        leadership: Whether this process may.
        wait: Waits for some seconds, and gives whether to stop.
        interval: Seconds between turns; doubled at each turn that Kubernetes does not answer, up to half a minute.
        once: Stop after the first turn as leader.
    """
    pause = interval
    while True:
        answered = True
        leading = leadership.leads()
        driver.figures.leading = leading
        if leading:
            answered = driver.take_over(leadership.term) and driver.turn()
            if once:
                return
        else:
            driver.figures.turned(driver.clock(), None, answered=True)
        pause = interval if answered else min(max(pause, 0.5) * 2, LONGEST_PAUSE)
        if wait(pause):
            return
