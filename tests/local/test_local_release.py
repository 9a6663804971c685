"""Releases on this machine with real servers under real traffic: by the driver that runs in a cluster."""

import dataclasses
import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serving.conftest import FRAUD, ROW, fitted_fraud_model, onnx_of, write_bundle

from fairlead.adapters.bentos import free_port
from fairlead.adapters.local_objects import NAMESPACE
from fairlead.errors import NotFound, ServiceError
from fairlead.local.serving import Candidate, LocalRelease, LocalServing
from fairlead.local.slots import is_ready
from fairlead.local.traffic import Traffic
from fairlead.release import names
from fairlead.release.journal import Journal, What
from fairlead.schema import Field, Schema

pytestmark = pytest.mark.slow

PLAN = {"profile": "demo", "steps": [20, 50], "guards": {"errors": {"margin": {"ratio": 1.25, "add": 0.02}}},
        "soak": "2s"}  # fmt: skip
NARROW = dataclasses.replace(
    FRAUD,
    fields=tuple(
        Field("country", "category", values=("FR",)) if field.name == "country" else field
        for field in FRAUD.fields
    ),
)


class Project:
    """As much of a project as a release looks at."""

    def __init__(self, plan: dict[str, Any]) -> None:
        from fairlead.spec.release import Release
        from fairlead.spec.serve import Serve

        self.release, self.serve = Release.model_validate(plan), Serve()


def command(folder: Path, *, port: int, host: str) -> tuple[list[str], dict[str, str]]:
    """The server without BentoML, which is quicker to start; ``make demo`` does the same with Bentos."""
    return [
        sys.executable,
        "-m",
        "fairlead.serve",
        str(folder / "bundle"),
        "--host",
        host,
        "--port",
        str(port),
    ], {}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Schema], Candidate]:
    """Bundles of one model under different schemas, by version."""
    model, root = onnx_of(fitted_fraud_model(), FRAUD), tmp_path_factory.mktemp("bundles")

    def made(version: str, schema: Schema = FRAUD) -> Candidate:
        digest = hashlib.sha256(version.encode()).hexdigest()
        folder = root / digest
        if not folder.exists():
            write_bundle(folder / "bundle", schema, model, "onnx", digest=digest)
            (folder / "attestations").mkdir()
            row = ROW if schema is FRAUD else {**ROW, "country": "FR"}
            (folder / "attestations" / "examples.json").write_text(json.dumps({"rows": [row]}))
        return Candidate(digest, folder)

    return made


class Loop:
    """A server in a thread of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.release = LocalRelease(folder, "fraud")
        self.port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.release.install(Project(PLAN), window_seconds=3600)  # type: ignore[arg-type]
        with LocalServing(self.release, host="127.0.0.1", port=self.port, command=command) as serving:
            serving.run(self._stop.wait)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)

    def until(self, true: Callable[[Journal], Any], seconds: float = 150.0) -> Journal:
        """The journal, once it is so."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            try:
                if true(journal := self.release.journal()):
                    return journal
            except NotFound:
                pass
            time.sleep(0.1)
        pytest.fail(f"not so after {seconds} s: {self.release.journal().to_json()[:2000]}")

    def live(self, candidate: Candidate) -> Journal:
        return self.until(
            lambda journal: journal.live_revision() == candidate.revision and journal.release is None
        )


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Callable[[], Loop]]:
    """Start a server on the test's folder; gone at the end."""
    started: list[Loop] = []
    port = free_port()

    def start() -> Loop:
        started.append(Loop(tmp_path / "serving", port))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def test_a_good_version_is_released_a_bad_one_taken_back_and_one_goes_back_at_once_without_a_failed_request(
    loop: Callable[[], Loop], bundles: Any
) -> None:
    server, first, good = loop(), bundles("1"), bundles("2")
    server.release.desire(first)
    server.live(first)
    server.until(lambda _: is_ready(server.port))
    with Traffic("127.0.0.1", server.port, [ROW], 200) as traffic:
        server.release.desire(good)
        journal = server.live(good)
        assert [outcome.what for outcome in journal.outcomes][-3:] == [
            What.STARTED,
            What.STEPPED,
            What.SWITCHED,
        ]
        began = time.monotonic()
        server.release.desire(first)
        assert server.live(first).outcomes[-1].what is What.ROLLED_BACK
        assert time.monotonic() - began < 15
        before_the_bad_one = dict(traffic.statuses)
        server.release.desire(bundles("bad", NARROW))
        journal = server.until(lambda journal: journal.failure is not None)
        assert journal.outcomes[-1].what is What.ABORTED
        assert "errors: candidate" in journal.outcomes[-1].why
        time.sleep(1)
    assert set(before_the_bad_one) == {"200"}, traffic.failures[:3]
    refused = traffic.statuses["422"]
    assert set(traffic.statuses) == {"200", "422"}
    assert 3 <= refused < 1000  # a fifth of the traffic for a few looks, which a busy machine makes longer
    assert journal.live_revision() == first.revision
    looks = server.release.looks()
    assert looks[-1]["verdict"]["action"] == "abort"
    assert sum(look["counted"]["x_c"] for look in looks) <= refused


def test_stopped_and_started_again_it_serves_what_was_live(loop: Callable[[], Loop], bundles: Any) -> None:
    server, first = loop(), bundles("1")
    server.release.desire(first)
    server.live(first)
    server.stop()
    assert server.release.heartbeat() is None
    again = loop()
    again.live(first)
    began = time.monotonic()
    while True:
        with Traffic("127.0.0.1", again.port, [ROW], 50) as traffic:
            time.sleep(0.5)
        if set(traffic.statuses) == {"200"}:
            break
        assert time.monotonic() - began < 30
    assert [outcome.what for outcome in again.release.journal().outcomes] == [What.STARTED, What.SWITCHED]


def test_a_killed_process_is_started_again(loop: Callable[[], Loop], bundles: Any) -> None:
    server, first = loop(), bundles("1")
    server.release.desire(first)
    server.live(first)
    (pod,) = server.release.cluster.find("Pod", NAMESPACE, names.MODEL)
    os.kill(_process_on(pod["spec"]["containers"][0]["ports"][0]["containerPort"]), signal.SIGKILL)

    def back() -> bool:
        found = server.release.cluster.find("Pod", NAMESPACE, names.MODEL)
        return (
            bool(found)
            and found[0]["metadata"]["name"] != pod["metadata"]["name"]
            and found[0]["status"]["containerStatuses"][0]["ready"]
        )

    began = time.monotonic()
    while not back():
        assert time.monotonic() - began < 30
        time.sleep(0.1)


def test_a_folder_is_served_once(loop: Callable[[], Loop], bundles: Any) -> None:
    server, first = loop(), bundles("1")
    server.release.desire(first)
    server.live(first)
    with pytest.raises(ServiceError, match="another server uses"):
        LocalServing(server.release, host="127.0.0.1", port=free_port(), command=command)


def test_a_person_can_pause_and_end_a_release(loop: Callable[[], Loop], bundles: Any) -> None:
    server, first = loop(), bundles("1")
    server.release.desire(first)
    server.live(first)
    server.release.desire(bundles("2"))
    server.until(lambda journal: journal.release is not None and journal.release.shift is not None)
    server.release.tell("pause", who="eve", why="lunch")
    paused = server.until(
        lambda journal: journal.release is not None and journal.release.shift and journal.release.shift.paused
    )
    assert paused.release is not None
    assert paused.release.shift is not None
    assert paused.release.shift.paused == "pause by eve: lunch"
    server.release.tell("abort", who="eve", why="enough")
    ended = server.until(lambda journal: journal.release is None)
    assert (ended.outcomes[-1].what, ended.outcomes[-1].why) == (What.ABORTED, "abort by eve: enough")
    assert ended.live_revision() == first.revision


def _process_on(port: int) -> int:
    """The process that was started for a port."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"fairlead.serve" in line and str(port).encode() in line:
                return int(entry.name)
    raise AssertionError(f"nothing serves on {port}")
