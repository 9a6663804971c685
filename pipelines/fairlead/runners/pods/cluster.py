"""The few calls of the Kubernetes API that a run makes, as plain mappings."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fairlead.adapters.cluster import connect, said
from fairlead.errors import ServiceError
from fairlead.runners.pods.reasons import Patience, PodFailed, failure_of, give_up

POLL_SECONDS = 1.0
SILENCE_SECONDS = 60.0
"""A log that says nothing for so long is opened anew: a node that died never closes the connection."""
LAST_LINES = 20
TIMEOUT = (10, 60)
"""Seconds until a connection, and until the next part of an answer, are given up."""
TRIES = 6
"""How often a request is made while the API does not answer: the last one is 44 s after the first."""


@dataclass(slots=True)
class Ended:
    """How a pod ended."""

    pod: Mapping[str, Any] | None
    """As the API showed it last; None if it is gone."""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    """The end of its log."""


class Pods(Protocol):
    """Runs pods, one call a pod."""

    def run(self, pod: Mapping[str, Any], on_line: Callable[[str], None], patience: Patience) -> Ended:
        """Create the pod, or join the one of its name, and wait for its end.

        Raises:
            PodFailed: It does not start.
        """

    def delete(self, name: str) -> None:
        """Delete the pod; none of that name is no error."""


class Cluster:
    """One namespace of a cluster. Fulfils :class:`Pods`."""

    def __init__(self, namespace: str, context: str | None = None) -> None:
        """Use *namespace* of the cluster that :func:`fairlead.adapters.cluster.connect` finds.

        Raises:
            ProjectError: No cluster is configured.
            ServiceError: It does not answer.
        """
        from kubernetes import client

        api = connect(context)
        _check_answers(api)
        self.namespace = namespace
        self._plain = api.sanitize_for_serialization
        self._core = client.CoreV1Api(api)
        self._batch = client.BatchV1Api(api)

    def run(self, pod: Mapping[str, Any], on_line: Callable[[str], None], patience: Patience) -> Ended:
        """See :class:`Pods`."""
        name = pod["metadata"]["name"]
        self._create(self._core.create_namespaced_pod, pod)
        return self.watch(name, on_line, patience)

    def watch(self, name: str, on_line: Callable[[str], None], patience: Patience) -> Ended:
        """Follow the pod's log to its end."""
        ended = Ended(self._wait(name, patience, lambda pod: pod["status"]["phase"] != "Pending"))
        log = _Log(self._core, name, self.namespace)
        while ended.pod is not None:
            for line in log.lines():
                ended.lines.append(line)
                on_line(line)
            ended.pod = self.pod(name)
            if ended.pod is None or ended.pod["status"]["phase"] in ("Succeeded", "Failed"):
                break
            time.sleep(POLL_SECONDS)
        return ended

    def _wait(
        self, name: str, patience: Patience, until: Callable[[Mapping[str, Any]], bool]
    ) -> Mapping[str, Any] | None:
        started = time.monotonic()
        while (pod := self.pod(name)) is not None and not until(pod):
            reason = give_up(pod, time.monotonic() - started, patience)
            if reason is not None:
                self.delete(name)
                raise reason
            time.sleep(POLL_SECONDS)
        return pod

    def pod(self, name: str) -> Mapping[str, Any] | None:
        """The pod as the API shows it; None if there is none."""
        return self._one(self._core.read_namespaced_pod, name)

    def pods(self, selector: str) -> list[Mapping[str, Any]]:
        """The pods with these labels, oldest first."""
        return self._listed(self._core.list_namespaced_pod, selector)

    def delete(self, name: str) -> None:
        """See :class:`Pods`."""
        self._one(self._core.delete_namespaced_pod, name, grace_period_seconds=5)

    def create_job(self, job: Mapping[str, Any]) -> str:
        """Create the Job, or join the one of its name; returns its UID."""
        self._create(self._batch.create_namespaced_job, job)
        return str(self.job(job["metadata"]["name"])["metadata"]["uid"])

    def create_config_map(self, config_map: Mapping[str, Any]) -> None:
        """Create the ConfigMap; one of its name is left as it is."""
        self._create(self._core.create_namespaced_config_map, config_map)

    def config_map(self, name: str) -> Mapping[str, Any] | None:
        """The ConfigMap; None if there is none."""
        return self._one(self._core.read_namespaced_config_map, name)

    def job(self, name: str) -> Mapping[str, Any]:
        """The Job as the API shows it; empty if there is none."""
        return self._one(self._batch.read_namespaced_job, name) or {}

    def delete_job(self, name: str) -> None:
        """Delete the Job with all that it owns; none of that name is no error."""
        self._one(self._batch.delete_namespaced_job, name, propagation_policy="Foreground")

    def jobs(self, selector: str) -> list[Mapping[str, Any]]:
        """The Jobs with these labels, newest first."""
        return self._listed(self._batch.list_namespaced_job, selector)[::-1]

    def service_account(self, name: str) -> Mapping[str, Any] | None:
        """The ServiceAccount; None if there is none."""
        return self._one(self._core.read_namespaced_service_account, name)

    def claim(self, name: str) -> Mapping[str, Any] | None:
        """The PersistentVolumeClaim; None if there is none."""
        return self._one(self._core.read_namespaced_persistent_volume_claim, name)

    def _one(self, call: Callable[..., Any], name: str, **options: Any) -> Mapping[str, Any] | None:
        """What *call* answers about the object; None if there is no such object."""
        from kubernetes.client import ApiException

        with api_errors():
            try:
                return dict(self._plain(_patiently(call, name, self.namespace, **options)))
            except ApiException as error:
                if error.status == 404:
                    return None
                raise

    def _listed(self, call: Callable[..., Any], selector: str) -> list[Mapping[str, Any]]:
        """What *call* lists, oldest first."""
        with api_errors():
            listed = _patiently(call, self.namespace, label_selector=selector)
        found = [self._plain(item) for item in listed.items]
        return sorted(found, key=lambda item: str(item["metadata"]["creationTimestamp"]))

    def _create(self, call: Callable[..., Any], body: Mapping[str, Any]) -> None:
        from kubernetes.client import ApiException

        with api_errors():
            try:
                _patiently(call, self.namespace, dict(body))
            except ApiException as error:
                if not _exists(error):
                    raise


def _patiently(call: Callable[..., Any], *given: Any, **options: Any) -> Any:
    """What *call* answers. A moment's fault of the API is waited out; a write that is made twice finds what it did at first."""
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    for attempt in range(1, TRIES):
        try:
            return call(*given, **options, _request_timeout=TIMEOUT)
        except ApiException as error:
            if not _passes(error):
                raise
        except HTTPError:
            pass
        time.sleep(min(2.0**attempt, 15))
    return call(*given, **options, _request_timeout=TIMEOUT)


def _passes(error: Any) -> bool:
    """Whether the same request may succeed in a moment: the API is busy or away, or a quota counted two pods at once."""
    return error.status in (0, 429) or error.status >= 500 or (error.status == 409 and not _exists(error))


def _exists(error: Any) -> bool:
    return error.status == 409 and "AlreadyExists" in str(error.body)


def _check_answers(api: Any) -> None:
    """Fail at once where no API answers; every other request is patient."""
    from kubernetes import client

    with api_errors():
        try:
            client.VersionApi(api).get_code(_request_timeout=TIMEOUT)
        except client.ApiException as error:
            if not error.status:  # no TLS; whoever refuses this is there
                raise


class _Log:
    """A container's log, each line once, however often it has to be opened."""

    def __init__(self, core: Any, pod: str, namespace: str) -> None:
        self._core, self._pod, self._namespace = core, pod, namespace
        self._last = ""
        self._opened_at = time.monotonic()

    def lines(self) -> Iterator[str]:
        """Lines until the container ends, or the connection does."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        since = None if not self._last else int(time.monotonic() - self._opened_at) + 5
        self._opened_at = time.monotonic()
        try:
            answer = self._core.read_namespaced_pod_log(
                self._pod, self._namespace, follow=True, timestamps=True, since_seconds=since,
                _preload_content=False, _request_timeout=(TIMEOUT[0], SILENCE_SECONDS),
            )  # fmt: skip
            for stamped in _split(answer.stream(decode_content=True)):
                stamp, _, line = stamped.partition(" ")
                at = _comparable(stamp)
                if at > self._last:
                    self._last = at
                    yield line
        except (ApiException, HTTPError):
            return  # the pod may be gone or starting; whoever asked looks at its status and comes again


def _comparable(stamp: str) -> str:
    """A time stamp whose order as text is its order in time: Go drops zeros at the end of fractions.

    >>> _comparable("2026-01-02T03:04:05.12Z") < _comparable("2026-01-02T03:04:05.123Z")
    True
    """
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<9}"


def _split(chunks: Iterator[bytes]) -> Iterator[str]:
    """Lines of a byte stream."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in whole)
    if rest:
        yield rest.decode("utf-8", "replace")


@contextlib.contextmanager
def api_errors() -> Iterator[None]:
    """Tell an error of the Kubernetes API as a :class:`ServiceError`."""
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        hints = {
            403: "This identity may not do that; the platform chart's Role `…-runner` shows what is needed."
        }
        raise ServiceError(f"the cluster refused: {said(error)}", hint=hints.get(error.status, "")) from error
    except HTTPError as error:
        raise ServiceError(
            f"the cluster does not answer: {error}", hint="Is the kubeconfig's context the right one?"
        ) from error


def check_ended(ended: Ended) -> None:
    """Raise the reason if the pod failed."""
    reason = failure_of(ended.pod, list(ended.lines))
    if reason is not None:
        raise reason


__all__ = ["Cluster", "Ended", "PodFailed", "Pods", "api_errors", "check_ended"]
