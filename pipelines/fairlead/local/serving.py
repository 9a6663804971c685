"""The router, the slots and the release driver of one model, together in one process on a laptop.

Everything stands in a folder, so the process can be stopped and started: what was live is live again, and a release under way
goes on. The model's objects are those of a cluster, so a release is the same act: a new ``PodTemplate`` is desired.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from fairlead.adapters.bentos import serve_command
from fairlead.adapters.load import end_with_parent
from fairlead.adapters.local_objects import NAMESPACE, LocalCluster
from fairlead.atomic import write_text
from fairlead.errors import Conflict, NotFound, ServiceError
from fairlead.local.slots import LocalSlots, Serve, ask_locally
from fairlead.release import names
from fairlead.release.act import Hands
from fairlead.release.drive import Driver
from fairlead.release.journal import Journal, Outcome
from fairlead.spec.project import Project

TURN_SECONDS = 0.25
"""Between two looks of the loop."""
STALE_SECONDS = 5.0
"""A heartbeat that is older belongs to a process that is gone, or stuck."""
ROUTER = "fairlead.adapters.local_router"
WINDOW_SECONDS = 600
"""How long the old version stays warm after a release."""

Say = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A bundle that is to be live."""

    digest: str
    folder: Path

    @property
    def revision(self) -> str:
        """How it is called in a release."""
        return self.digest[:16]


class LocalRelease:
    """What a person, or the loop, reads and writes of one model. Several processes may have one."""

    def __init__(self, folder: Path, model: str) -> None:
        """Use the objects in *folder*."""
        self.folder = folder
        self.model = model
        self.cluster = LocalCluster(folder)

    def install(self, project: Project, *, window_seconds: int = WINDOW_SECONDS) -> None:
        """Write the policy anew, and make what is not there."""
        policy = {
            "model": self.model,
            "traffic": {"backend": "gateway", "route": self.model},
            "windowSeconds": window_seconds,
            "readySeconds": 120,
            "drainSeconds": 2,
            "profile": project.release.profile,
            "objectiveMs": project.serve.objective.p99_ms,
            "release": project.release.model_dump(mode="json", exclude_unset=True),
        }
        before = self.cluster.get("ConfigMap", f"{self.model}-policy")
        kept = before["metadata"].get("annotations", {}) if before else {}
        metadata = {
            "name": f"{self.model}-policy",
            "labels": self._labels(role="policy"),
            "annotations": kept,
        }
        self.cluster.put(
            {"kind": "ConfigMap", "metadata": metadata, "data": {"policy.json": json.dumps(policy)}}
        )
        for kind in ("Service", "HTTPRoute"):
            if self.cluster.get(kind, self.model) is None:
                self.cluster.put(
                    {"kind": kind, "metadata": {"name": self.model, "labels": self._labels()}, "spec": {}}
                )

    def desire(self, candidate: Candidate) -> None:
        """Ask for a bundle to be live, as ``helm upgrade`` does in a cluster."""
        examples = candidate.folder / "attestations" / "examples.json"
        said = {names.REVISION: candidate.revision, names.BUNDLE: candidate.digest}
        if examples.exists():
            said[names.PROBE] = examples.read_text(encoding="utf-8")
        template = {
            "metadata": {"labels": self._labels()},
            "spec": {"containers": [{"name": "model", "bundle": str(candidate.folder)}]},
        }
        metadata = {"name": self.model, "labels": self._labels(), "annotations": said}
        self.cluster.put({"kind": "PodTemplate", "metadata": metadata, "template": template})

    def desired(self) -> str:
        """The revision that is asked for; empty while there is none."""
        found = self.cluster.get("PodTemplate", self.model)
        return str(found["metadata"]["annotations"][names.REVISION]) if found else ""

    def tell(self, verb: str, *, who: str, why: str, guard: str = "") -> None:
        """Leave a command for the driver."""
        command = {"id": f"{time.time():.6f}", "verb": verb, "who": who, "why": why, "guard": guard}
        self.cluster.annotate(
            "ConfigMap", NAMESPACE, f"{self.model}-policy", {names.COMMAND: json.dumps(command)}
        )

    def retry(self) -> None:
        """Ask for a failed revision to be tried again."""
        self.cluster.annotate(
            "ConfigMap", NAMESPACE, f"{self.model}-policy", {names.RETRY: f"{time.time():.6f}"}
        )

    def journal(self) -> Journal:
        """What is written down.

        Raises:
            NotFound: Nothing is: no server with releases has run here.
        """
        found = self.cluster.get("ConfigMap", names.journal_name(self.model))
        if found is None:
            raise NotFound(
                f"no release of {self.model} is known here",
                hint="Start the two slots first: fairlead serve --releases",
            )
        return Journal.from_json(found["data"]["journal.json"])

    def heartbeat(self) -> Mapping[str, Any] | None:
        """What the server last said about itself: ``at``, ``url``; None if it never ran."""
        try:
            said: Mapping[str, Any] = json.loads((self.folder / "serving.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return said

    def looks(self) -> list[dict[str, Any]]:
        """The looks of the newest release, oldest first."""
        files = sorted((self.folder / "releases").glob("*/looks.jsonl"))
        lines = files[-1].read_text(encoding="utf-8").splitlines() if files else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def keep(self, _namespace: str, _model: str, look: Mapping[str, Any]) -> None:
        """Append a look to those of its release."""
        folder = self.folder / "releases" / f"{look['started']:.0f}-{look['revision']}"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "looks.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(look) + "\n")

    def _labels(self, role: str = "") -> dict[str, str]:
        return {names.MODEL: self.model, **({names.ROLE: role} if role else {})}


class LocalServing:
    """The loop: slots follow the objects, the driver follows what is desired. A context, which ends all it started."""

    def __init__(
        self,
        release: LocalRelease,
        *,
        host: str,
        port: int,
        say: Say = lambda *_, **__: None,
        ended: Callable[[Outcome], None] = lambda _: None,
        command: Serve = serve_command,
    ) -> None:
        """Serve at *host*:*port*.

        Args:
            release: The model's objects.
            host: Address of the router.
            port: Its port.
            say: Told what the driver does.
            ended: Told of each outcome that is new, after it was written down.
            command: How to serve a bundle.

        Raises:
            ServiceError: Another server uses the folder.
        """
        self.url = f"http://{host}:{port}"
        self._release = release
        self._ended = ended
        self._only_one = _locked(release.folder / "serving.lock")
        self._slots = LocalSlots(release.cluster, release.folder, command=command)
        hands = Hands(release.cluster, ask_locally(release.cluster), keep=release.keep)
        self._driver = Driver(hands, [NAMESPACE], time.time, say)
        self._told = self._outcomes()
        self._router = subprocess.Popen(
            [sys.executable, "-m", ROUTER, str(self._slots.routes), "--host", host, "--port", str(port)],
            preexec_fn=end_with_parent,  # noqa: PLW1509 - one thread starts processes
        )

    def __enter__(self) -> LocalServing:
        """Nothing more is to be started."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the router, then the slots behind it."""
        self._router.terminate()
        self._router.wait(15)
        self._slots.close()
        (self._release.folder / "serving.json").unlink(missing_ok=True)
        self._only_one.close()

    def turn(self) -> None:
        """One look of slots and driver.

        Raises:
            ServiceError: The router has ended, for example because its port is taken.
        """
        if self._router.poll() is not None:
            raise ServiceError(
                f"the router at {self.url} has ended", hint="Is the port taken? Choose another with --port."
            )
        try:
            self._slots.step()
        except Conflict:
            return  # somebody wrote at the same time: the next turn sees it
        self._driver.turn()
        write_text(self._release.folder / "serving.json", json.dumps({"at": time.time(), "url": self.url}))
        outcomes = self._outcomes()
        for outcome in outcomes:
            if outcome not in self._told:
                self._ended(outcome)
        self._told = outcomes

    def run(self, wait: Callable[[float], bool]) -> None:
        """Turn until *wait* says to stop."""
        while not wait(TURN_SECONDS):
            self.turn()

    def _outcomes(self) -> tuple[Outcome, ...]:
        try:
            return self._release.journal().outcomes
        except NotFound:
            return ()


def _locked(path: Path) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as cause:
        lock.close()
        raise ServiceError(
            f"another server uses {path.parent}", hint="Stop it, or use it: fairlead release status"
        ) from cause
    return lock
