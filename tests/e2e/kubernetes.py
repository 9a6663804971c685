"""A cluster, and a namespace of it, as tests use them: kubectl, Helm, HTTP through the Gateway, and waiting."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pytest

Object = dict[str, Any]
T = TypeVar("T")

# The profile that a cluster owner who means it asks of every namespace.
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
HELM_PROGRAMS = {3: "helm", 4: "helm4"}
FAULTS = ("kill", "stop-component")
GATEWAY_HINT = "set CLUSTER_GATEWAY=HOST:PORT, where its listener for HTTP answers"


class CommandFailed(AssertionError):
    """A command of a test ended with an error. The text is what it printed on standard error.

    Attributes:
        code: Its exit code.
        said: What it printed on standard error.
    """

    def __init__(self, command: list[str], code: int, said: str) -> None:
        super().__init__(f"{' '.join(command)} ended with {code}:\n{said}")
        self.code = code
        self.said = said


@dataclass(frozen=True)
class Answer:
    """An answer over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


def run(*command: str | Path, text: str = "", seconds: float = 180) -> str:
    """Give what *command* printed, *text* being its input.

    Raises:
        CommandFailed: it ended with an error, or did not end within *seconds*.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, input=text, text=True, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as expired:
        raise CommandFailed(words, -1, f"not over after {seconds:.0f} s") from expired
    if done.returncode:
        raise CommandFailed(words, done.returncode, done.stderr.strip() or done.stdout.strip())
    return done.stdout.strip()


def until(what: str, test: Callable[[], T], seconds: float = 60, every: float = 0.2) -> T:
    """Call *test* until it gives something true, and give that.

    A command that fails and a connection that is refused count as not yet. Anything else is raised at once.

    Raises:
        AssertionError: *seconds* are over; with the last value or error seen.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            last: object = test()
            if last:
                return last  # type: ignore[return-value]
        except (CommandFailed, OSError, http.client.HTTPException) as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s for {what}; last seen: {last!r}")
        time.sleep(every)


def request(
    address: str, path: str = "/", *, host: str = "", body: Any = None, method: str = "", seconds: float = 10,
    headers: dict[str, str] | None = None,
) -> Answer:  # fmt: skip
    """Send one request, once. *address* is HOST:PORT; *body* is sent as JSON, by POST unless *method* says else.

    Raises:
        OSError: there was no answer. Use :func:`until` where that is expected for a while.
    """
    connection = http.client.HTTPConnection(address, timeout=seconds)
    sent = {"Host": host or address} | ({"Content-Type": "application/json"} if body is not None else {})
    sent |= headers or {}
    data = None if body is None else json.dumps(body)
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, data, sent)
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


@dataclass(frozen=True)
class Cluster:
    """The cluster of KUBECONFIG, with its administrator's rights.

    Attributes:
        kubeconfig: How it is reached.
        tool: The program that runs it, if it is the test cluster: only there can components be killed.
        registry: Where its images are: `REGISTRY/fairlead/serve:0.1.0`.
        python_image: An image with Python 3 and nothing more, for workloads of tests.
    """

    kubeconfig: Path
    tool: Path | None
    registry: str
    python_image: str
    made: list[str] = field(default_factory=list, repr=False)

    @classmethod
    def from_environment(cls) -> Cluster:
        """The cluster that the environment names; the calling test is skipped where there is none."""
        kubeconfig = os.environ.get("KUBECONFIG")
        if not kubeconfig:
            pytest.skip(
                "KUBECONFIG is not set: `make test-cluster` runs this on a cluster of its own, "
                "and with KUBECONFIG it runs on any other"
            )
        tool = os.environ.get("CLUSTER_TOOL")
        local = "localhost/python:3.11-bookworm" if tool else "docker.io/library/python:3.11-slim-bookworm"
        return cls(
            Path(kubeconfig),
            Path(tool) if tool else None,
            os.environ.get("FAIRLEAD_TEST_REGISTRY", "localhost"),
            os.environ.get("FAIRLEAD_TEST_PYTHON_IMAGE", local),
        )

    @cached_property
    def node(self) -> str:
        """The address of the first node."""
        addresses = self.get("nodes")["items"][0]["status"]["addresses"]
        return next(str(each["address"]) for each in addresses if each["type"] == "InternalIP")

    @cached_property
    def gateway(self) -> str:
        """HOST:PORT where the Gateway answers HTTP: CLUSTER_GATEWAY, or the first address in its status."""
        if given := os.environ.get("CLUSTER_GATEWAY"):
            return given
        name = self.gateway_reference
        found = (
            self.get("gateway", name["name"], namespace=name["namespace"]).get("status", {}).get("addresses")
        )
        if not found:
            pytest.skip(f"the Gateway {name['namespace']}/{name['name']} has no address: {GATEWAY_HINT}")
        return f"{found[0]['value']}:80"

    @property
    def gateway_reference(self) -> Object:
        """The Gateway that routes of tests hang on, as an entry of `parentRefs`."""
        namespace, name = os.environ.get("FAIRLEAD_TEST_GATEWAY", "gateway-system/gateway").split("/")
        return {"namespace": namespace, "name": name}

    def image(self, name: str, tag: str = "0.1.0") -> str:
        """The full name of one of our images."""
        return f"{self.registry}/fairlead/{name}:{tag}"

    def kubectl(self, *words: str | Path, namespace: str = "", text: str = "", seconds: float = 180) -> str:
        """What kubectl printed. Raises CommandFailed."""
        inside = ["--namespace", namespace] if namespace else []
        return run("kubectl", "--kubeconfig", self.kubeconfig, *inside, *words, text=text, seconds=seconds)

    def helm(self, *words: str | Path, namespace: str = "", version: int = 3, seconds: float = 300) -> str:
        """What Helm 3 or 4 printed; skips the test where that Helm is not there. Raises CommandFailed."""
        inside = ["--namespace", namespace] if namespace else []
        try:
            program = HELM_PROGRAMS[version]
            return run(program, "--kubeconfig", self.kubeconfig, *inside, *words, seconds=seconds)
        except FileNotFoundError:
            pytest.skip(f"there is no Helm {version} on the PATH, as `{HELM_PROGRAMS[version]}`")

    def apply(self, *objects: Object, namespace: str = "") -> None:
        """Create or change *objects* by server-side apply. Raises CommandFailed."""
        text = "\n---\n".join(map(json.dumps, objects))
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", namespace=namespace, text=text)

    def get(self, kind: str, name: str = "", *, namespace: str = "", selector: str = "") -> Object:
        """One object, or without *name* a list of them under `items`. Raises CommandFailed."""
        which = [name] if name else (["--selector", selector] if selector else [])
        found: Object = json.loads(self.kubectl("get", kind, *which, "--output=json", namespace=namespace))
        return found

    def control(self, *words: str) -> str:
        """Run the test cluster's own tool (`kill`, `start`, `load` …); skips the test on any other cluster."""
        if self.tool is None:
            pytest.skip(f"`{' '.join(words)}` is something only the test cluster can do to itself")
        if words[0] in FAULTS and int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
            pytest.skip(f"`{' '.join(words)}` hits the tests of all workers: run these with -n0")
        return run(self.tool, *words)

    def create_namespace(self, name: str, **labels: str) -> Namespace:
        """A new namespace under the Pod Security profile `restricted`, usable at once."""
        self.kubectl("create", "namespace", name)
        self.made.append(name)
        labelled = [f"{key}={value}" for key, value in {**RESTRICTED, **labels}.items()]
        self.kubectl("label", "namespace", name, *labelled)
        new = Namespace(self, name)
        until(f"the ServiceAccount of {name}", lambda: new.get("serviceaccount", "default"))
        return new

    def remove_namespaces(self) -> None:
        """Begin to remove every namespace made here. Their pods may take their time: names are never used again."""
        if self.made:
            self.kubectl("delete", "namespace", "--ignore-not-found", "--wait=false", *self.made)
            self.made.clear()


@dataclass(frozen=True)
class Namespace:
    """One namespace of a cluster: the same verbs, inside it."""

    cluster: Cluster
    name: str

    def kubectl(self, *words: str | Path, text: str = "", seconds: float = 180) -> str:
        """See :meth:`Cluster.kubectl`."""
        return self.cluster.kubectl(*words, namespace=self.name, text=text, seconds=seconds)

    def helm(self, *words: str | Path, version: int = 3, seconds: float = 300) -> str:
        """See :meth:`Cluster.helm`."""
        return self.cluster.helm(*words, namespace=self.name, version=version, seconds=seconds)

    def apply(self, *objects: Object) -> None:
        """See :meth:`Cluster.apply`."""
        self.cluster.apply(*objects, namespace=self.name)

    def get(self, kind: str, name: str = "", *, selector: str = "") -> Object:
        """See :meth:`Cluster.get`."""
        return self.cluster.get(kind, name, namespace=self.name, selector=selector)

    def pods(self, selector: str = "") -> list[Object]:
        """The pods that *selector* chooses, those that are leaving left out."""
        found = self.get("pods", selector=selector)["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def rollout(self, *deployments: str, seconds: float = 120) -> None:
        """Wait until each of *deployments* has all its pods, new and ready."""
        for name in deployments:
            self.kubectl(
                "rollout", "status", f"deployment/{name}", f"--timeout={seconds:.0f}s", seconds=seconds + 5
            )

    def evict(self, pod: str) -> None:
        """Ask for the eviction of *pod*, as `kubectl drain` does. Raises CommandFailed where a budget forbids it."""
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": self.name},
        }
        path = f"/api/v1/namespaces/{self.name}/pods/{pod}/eviction"
        self.kubectl("create", "--raw", path, "-f", "-", text=json.dumps(eviction))

    def may(self, account: str, verb: str, resource: str) -> bool:
        """Whether the ServiceAccount *account* (NAMESPACE:NAME, or NAME in this one) may do that here."""
        user = f"system:serviceaccount:{account if ':' in account else f'{self.name}:{account}'}"
        try:
            return self.kubectl("auth", "can-i", verb, resource, "--as", user) == "yes"
        except CommandFailed:  # it ends with 1 to say no
            return False

    def story(self) -> str:
        """What a person would look at first when a test failed here: pods, events, the last lines of each log."""
        parts = []
        for words in (
            ["get", "pods,deployments,jobs,httproutes", "-o", "wide"],
            ["get", "events", "--sort-by=.lastTimestamp"],
            [
                "logs",
                "--all-containers",
                "--prefix",
                "--tail=20",
                "--ignore-errors",
                "--selector",
                "!no-such-label",
            ],
        ):
            try:
                parts.append(f"$ kubectl {' '.join(words)}\n{self.kubectl(*words, seconds=30)}")
            except CommandFailed as failed:
                parts.append(str(failed))
        return "\n\n".join(parts)
