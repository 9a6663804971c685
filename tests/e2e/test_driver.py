"""The release driver on a real cluster: what is live, where requests go, and what a kill, a reset or a fault changes."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e import slot_chart
from tests.e2e.kubernetes import Namespace, request, until
from tests.e2e.traffic import Load

pytestmark = pytest.mark.release  # the smoke set has the driver at work in test_2_changes
TRAFFIC = ("gateway", "service")
ROWS = {"rows": [{"x": 1}]}
WRITES = ("Record", "CreateSlot", "StampSlot", "ScaleSlot", "SetFloor", "SetRules", "SetSelector")


class Model:
    """A model's objects in a namespace, and the drivers that look after them."""

    name = "m"

    def __init__(self, namespace: Namespace, folder: Path, backend: str, **settings: Any) -> None:
        self.namespace, self.folder, self.backend = namespace, folder, backend
        self.drivers: list[subprocess.Popen[bytes]] = []
        self.objects = slot_chart.release(self.name, backend, namespace.cluster.gateway_reference, **settings)
        namespace.apply(*self.objects)

    def desire(self, version: str, *, probe: str = slot_chart.PROBE, **template: Any) -> None:
        """What `helm upgrade` does."""
        pods = slot_chart.template(self.name, version, self.namespace.cluster.python_image, **template)
        self.namespace.apply(slot_chart.pod_template(self.name, pods, probe))

    def drive(self, interval: float = 0.5) -> subprocess.Popen[bytes]:
        """Start one more driver."""
        number, port = len(self.drivers), _free_port()
        (self.folder / f"port-{number}").write_text(str(port))
        command = [sys.executable, "-m", "fairlead.cli.main", "driver", "--namespaces", self.namespace.name,
                   "--lease-namespace", self.namespace.name, "--health-host", "127.0.0.1", "--health-port", str(port),
                   "--interval", str(interval)]  # fmt: skip
        with self.log(number).open("wb") as log:
            self.drivers.append(subprocess.Popen(command, stdout=log, stderr=log))
        return self.drivers[-1]

    def log(self, number: int = -1) -> Path:
        """Where a driver logs."""
        return self.folder / f"driver-{number % len(self.drivers) if number < 0 else number}.log"

    def page(self, path: str, number: int = 0) -> str:
        """A page of a driver's health port; empty while it does not answer."""
        port = (self.folder / f"port-{number}").read_text()
        try:
            return request(f"127.0.0.1:{port}", path).text
        except OSError:
            return ""

    def journal(self) -> dict[str, Any]:
        """The journal as it is now."""
        text = self.namespace.kubectl(
            "get",
            "configmap",
            f"{self.name}-release",
            "--ignore-not-found",
            "-o",
            "jsonpath={.data.journal\\.json}",
        )
        return json.loads(text) if text else {"outcomes": [], "live": None, "release": None}

    def outcomes(self) -> list[str]:
        """What happened, oldest first."""
        return [outcome["what"] for outcome in self.journal()["outcomes"]]

    def live_version(self) -> str | None:
        """The version in the live slot, by the journal; None while a release is under way."""
        journal = self.journal()
        if not journal["live"] or journal["release"]:
            return None
        container = journal["slots"][journal["live"]]["template"]["spec"]["containers"][0]
        return next(variable["value"] for variable in container["env"] if variable["name"] == "VERSION")

    def wait_live(self, version: str) -> None:
        """Wait until *version* is live."""
        until(f"{version} to be live", lambda: self.live_version() == version, every=0.3)

    def wait_outcome(self, what: str, count: int = 1) -> None:
        """Wait until the journal says *what* so often."""
        until(f"{count} × {what}", lambda: self.outcomes().count(what) == count, every=0.3)

    def replicas(self, slot: str) -> int:
        """How many pods the slot's Deployment asks for."""
        return int(self.namespace.get("deployment", f"{self.name}-{slot}")["spec"]["replicas"])

    def ready(self, slot: str) -> bool:
        """Whether the slot has a Deployment that stays, with a ready pod."""
        found = self.namespace.get("deployment", f"{self.name}-{slot}")
        return (
            "deletionTimestamp" not in found["metadata"]
            and found.get("status", {}).get("readyReplicas", 0) > 0
        )

    def traffic(self, **options: Any) -> Load:
        """Constant requests the way the policy's back end leads them."""
        options = {
            "body": ROWS,
            "version_of": lambda _, body: json.loads(body)["version"],
            "pause": 0.004,
        } | options
        if self.backend == "gateway":
            address, host = self.namespace.cluster.gateway, f"{self.name}.test"
        else:
            address, host, options["keep_alive"] = f"{self.name}.{self.namespace.name}.svc:80", "", False
        until("the first answer", lambda: request(address, "/predict", host=host, body=ROWS).status == 200)
        return Load(address, "/predict", host=host, **options)

    def close(self) -> None:
        """End the drivers, and show what they said: pytest prints it only where a test failed."""
        for number, driver in enumerate(self.drivers):
            driver.kill()
            driver.wait()
            print(f"--- driver {number}\n{self.log(number).read_text()[-6000:]}")


@pytest.fixture
def model(namespace: Namespace, tmp_path: Path) -> Iterator[Callable[..., Model]]:
    """Makes a model in the test's namespace. Skips where Services have no names for this process."""
    try:
        socket.getaddrinfo("kubernetes.default.svc", 443)
    except OSError:
        pytest.skip("the driver asks Services by name, and this process is not on the cluster's network")
    made: list[Model] = []

    def make(backend: str, **settings: Any) -> Model:
        made.append(Model(namespace, tmp_path, backend, **settings))
        return made[-1]

    yield make
    for item in made:
        item.close()


# ---------------------------------------------------------------------------------------------- the usual way


@pytest.mark.parametrize("backend", TRAFFIC)
def test_a_switch_and_the_way_back_lose_no_request(model, backend, record_property):
    m = model(backend, window=600)
    m.drive()
    m.desire("one")
    m.wait_live("one")
    with m.traffic() as traffic:
        time.sleep(1)
        m.desire("two")
        m.wait_live("two")
        time.sleep(2)
        asked = time.time()
        m.desire("one")
        m.wait_live("one")
        time.sleep(2)
        back = traffic.last("two") - asked
    requests = traffic.require_no_errors()
    record_property("requests", requests)
    record_property("seconds_back", round(back, 2))
    assert 0 < traffic.first("two") < traffic.last("two")
    assert back < 5
    assert m.outcomes() == ["started", "switched", "started", "switched", "started", "rolled back"]
    assert m.journal()["outcomes"][3]["why"] == "scored: 2 of 2 rows"


@pytest.mark.parametrize("backend", TRAFFIC)
def test_the_old_slot_goes_to_zero_after_the_window_and_no_request_is_lost(model, backend, record_property):
    m = model(backend, window=4, floor=2)
    m.drive()
    m.desire("one")
    m.wait_live("one")
    with m.traffic() as traffic:
        m.desire("two")
        m.wait_live("two")
        assert (m.replicas("blue"), m.replicas("green")) == (2, 2)
        until("the old slot to go to zero", lambda: m.replicas("blue") == 0)
        time.sleep(6)
    record_property("requests", traffic.require_no_errors())
    assert m.namespace.get("hpa", "m-green")["spec"]["minReplicas"] == 2
    assert m.replicas("green") == 2


def test_a_newer_revision_takes_the_candidates_place(model):
    m = model("service")
    m.drive()
    m.desire("one")
    m.wait_live("one")
    m.desire("slow", start=30)
    m.wait_outcome("started", 2)
    m.desire("three")
    m.wait_live("three")
    assert m.outcomes() == ["started", "switched", "started", "replaced", "started", "switched"]


def test_the_candidate_gets_as_many_pods_as_the_live_slot_has(model):
    m = model("gateway", most=3)
    m.drive()
    m.desire("one")
    m.wait_live("one")
    m.namespace.kubectl("scale", "deployment/m-blue", "--replicas=3")
    m.namespace.rollout("m-blue")
    m.desire("two")
    m.wait_live("two")
    assert m.replicas("green") == 3
    assert m.namespace.get("hpa", "m-green")["spec"]["minReplicas"] == 3


def test_without_probe_rows_the_journal_says_not_scored(model):
    m = model("service")
    m.drive()
    m.desire("one", probe="")
    m.wait_live("one")
    assert m.journal()["outcomes"][-1]["why"].startswith("not scored")


def test_once_settled_nothing_is_written(model):
    m = model("gateway", preview=True, window=0)
    m.drive(interval=0.1)
    m.desire("one")
    m.wait_live("one")
    time.sleep(2)
    before = m.page("/metrics")
    time.sleep(3)
    after = m.page("/metrics")
    assert _counts(after, "reconcile_seconds_count") > _counts(before, "reconcile_seconds_count") + 5
    assert _counts(after, "actions_total") == _counts(before, "actions_total")


# ------------------------------------------------------------------------------------------------ what fails


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("nan", "holds no finite number"),
        ("error", "status 500"),
        ("unready", "not ready in 8 s: 0 of 1 pods ready"),
        ("crash", "CrashLoopBackOff"),
    ],
)
def test_a_candidate_that_is_no_good_leaves_the_live_one_alone(model, mode, said):
    m = model("gateway", ready=8)
    m.drive()
    m.desire("one")
    m.wait_live("one")
    with m.traffic() as traffic:
        m.desire("bad", mode=mode)
        m.wait_outcome("failed")
        until("its slot to go to zero", lambda: m.replicas("green") == 0)
        time.sleep(3)
    traffic.require_no_errors()
    assert set(traffic.versions()) == {"one"}
    assert said in m.journal()["outcomes"][-1]["why"]
    assert m.outcomes().count("started") == 2  # the same revision is not tried again by itself
    assert "ReleaseFailed" in m.namespace.kubectl("get", "events", "-o", "jsonpath={.items[*].reason}")
    m.namespace.kubectl("annotate", "configmap", "m-policy", "fairlead.dev/retry=please")
    m.wait_outcome("started", 3)


def test_a_candidate_without_room_is_held_and_the_reason_named(model):
    m = model("service", ready=5)
    m.drive()
    m.desire("one")
    m.wait_live("one")
    m.desire("huge", cpu="900")
    until(
        "the release to be held", lambda: "Insufficient cpu" in (m.journal()["release"] or {}).get("held", "")
    )
    time.sleep(7)
    assert "failed" not in m.outcomes()


# ------------------------------------------------------------------------------------------- what is put back


def test_what_is_reset_is_put_back_at_once(model, record_property):
    m = model("gateway", floor=2, preview=True)
    m.drive()
    m.desire("one")
    m.wait_live("one")
    time.sleep(1)
    added = {"name": "ADDED", "value": "1"}
    resets: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
        "rules": ("httproute", "m", lambda spec: spec.pop("rules")),
        "preview rules": ("httproute", "m-preview", lambda spec: spec.pop("rules")),
        "selector": ("service", "m", lambda spec: spec.pop("selector")),
        "minReplicas": ("hpa", "m-blue", lambda spec: spec.pop("minReplicas")),
        "template": ("deployment", "m-blue", lambda spec: spec["template"]["spec"]["containers"][0]["env"].append(added)),
        "replicas": ("deployment", "m-blue", lambda spec: spec.update(replicas=0)),
    }  # fmt: skip
    for what, (kind, name, reset) in resets.items():
        found = m.namespace.get(kind, name)
        wanted = json.dumps(found["spec"], sort_keys=True)
        reset(found["spec"])
        del found["metadata"]["resourceVersion"]  # the driver or a controller may write in between
        m.namespace.kubectl("replace", "-f", "-", text=json.dumps(found))
        began = time.monotonic()
        until(f"{what} to be put back", lambda k=kind, n=name, w=wanted: w == json.dumps(
            m.namespace.get(k, n)["spec"], sort_keys=True), every=0.02)  # fmt: skip
        took = time.monotonic() - began
        print(f"{what} put back in {took:.2f} s")
        record_property(what, round(took, 2))
        assert took < 3


def test_a_deleted_live_slot_is_made_again(model, record_property):
    m = model("service")
    m.drive()
    m.desire("one")
    m.wait_live("one")
    m.namespace.kubectl("delete", "deployment", "m-blue", "--wait=false")
    began = time.monotonic()
    until("the slot to be ready again", lambda: m.ready("blue"))
    record_property("seconds", round(time.monotonic() - began, 1))
    assert m.outcomes() == ["started", "switched"]


def test_a_deleted_journal_is_written_anew_from_what_runs(model):
    m = model("gateway", window=600)
    m.drive()
    m.desire("one")
    m.wait_live("one")
    with m.traffic() as traffic:
        m.namespace.kubectl("delete", "configmap", "m-release")
        until("the journal to be back", lambda: m.outcomes() == ["adopted"])
        time.sleep(2)
    traffic.require_no_errors()
    assert m.live_version() == "one"


def test_uninstalling_leaves_nothing_of_the_driver(model):
    m = model("gateway")
    m.drive()
    for version in ("one", "two"):
        m.desire(version)
        m.wait_live(version)
    chosen = ("--selector", "fairlead.dev/model=m")
    for kind in sorted({item["kind"] for item in m.objects} | {"PodTemplate"}):
        m.namespace.kubectl("delete", kind, *chosen, "--wait=false")
    kinds = "deployment,replicaset,pod,configmap,service,hpa,httproute,podtemplate"
    until(
        "everything to be gone",
        lambda: not m.namespace.kubectl("get", kinds, *chosen, "-o", "name"),
        every=0.5,
    )


# -------------------------------------------------------------------------------------------- the driver itself


def test_a_driver_killed_again_and_again_gets_there_and_loses_no_request(model, record_property):
    m = model("gateway", window=3)
    m.drive()
    m.desire("v0")
    m.wait_live("v0")
    chance, kills = random.Random(4), 0
    with m.traffic(seconds=280) as traffic:
        for number in range(1, 5):
            m.desire(f"v{number}")
            while m.live_version() != f"v{number}":
                m.drivers[-1].kill()
                m.drivers[-1].wait()
                # a new driver would wait for the lease of the killed one to run out
                m.namespace.kubectl("delete", "lease", "fairlead-driver", "--ignore-not-found")
                kills += 1
                m.drive(interval=0.1)
                until("the new driver to have begun", lambda: "driver started" in m.log().read_text())
                time.sleep(chance.random())
        time.sleep(2)
    record_property("requests", traffic.require_no_errors())
    record_property("kills", kills)
    print(f"{kills} kills")
    assert kills >= 6
    assert m.outcomes().count("switched") == 5


def test_a_stopped_driver_that_lost_its_lease_writes_nothing_when_it_goes_on(model):
    m = model("service")
    first = m.drive()
    m.desire("one")
    m.wait_live("one")
    first.send_signal(signal.SIGSTOP)
    said = m.log(0).stat().st_size
    m.drive()
    until("the second to lead", lambda: m.page("/readyz", 1) == "leader\n")
    m.desire("two")
    first.send_signal(signal.SIGCONT)
    m.wait_live("two")
    time.sleep(2)
    late = [json.loads(line)["event"] for line in m.log(0).read_text()[said:].splitlines()]
    assert not set(late) & set(WRITES)
    assert m.page("/readyz", 0) == "standby\n"
    assert m.outcomes() == ["started", "switched", "started", "switched"]


def test_a_driver_that_is_told_to_stop_lets_the_next_one_in_at_once(model):
    m = model("service")
    m.drive()
    until("the first to lead", lambda: m.page("/readyz", 0) == "leader\n")
    m.drive()
    until("the second to stand by", lambda: m.page("/readyz", 1) == "standby\n")
    m.drivers[0].terminate()
    assert m.drivers[0].wait(timeout=10) == 0
    began = time.monotonic()
    until("the second to lead", lambda: m.page("/readyz", 1) == "leader\n")
    assert time.monotonic() - began < 5


def test_metrics_and_health_are_told(model):
    m = model("service")
    m.drive()
    m.desire("one")
    m.wait_live("one")
    assert m.page("/livez") == "ok\n"
    assert m.page("/readyz") == "leader\n"
    text = m.page("/metrics")
    assert 'fairlead_driver_releases_total{outcome="switched"} 1' in text
    assert _counts(text, "heartbeat_timestamp_seconds") > time.time() - 10


def _counts(text: str, name: str) -> float:
    """The sum of all samples of one of the driver's metrics."""
    lines = [line for line in text.splitlines() if line.startswith(f"fairlead_driver_{name}")]
    return sum(float(line.split()[-1]) for line in lines)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
