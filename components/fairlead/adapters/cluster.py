"""Kubernetes, as the few things fairlead asks of it. Objects are plain mappings, as the API has them.

The generated client is used for what is tedious to write (credentials, their renewal, TLS, proxies) and not for its hundreds of
model classes: they drop fields they do not know, and a Deployment that is written back must not lose any.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairlead.errors import Conflict, NotFound, ProjectError, ServiceError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

Object = dict[str, Any]

MANAGER = "fairlead-driver"
"""Field manager of every write."""

_PATHS = {
    "ConfigMap": ("v1", "configmaps"),
    "Deployment": ("apps/v1", "deployments"),
    "Event": ("v1", "events"),
    "HTTPRoute": ("gateway.networking.k8s.io/v1", "httproutes"),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "horizontalpodautoscalers"),
    "Lease": ("coordination.k8s.io/v1", "leases"),
    "Pod": ("v1", "pods"),
    "PodTemplate": ("v1", "podtemplates"),
    "Service": ("v1", "services"),
}


def connect(context: str | None = None) -> ApiClient:
    """A client from the kubeconfig, or, in a pod where nothing names one, from the pod's ServiceAccount.

    Args:
        context: Of the kubeconfig. Default: its present one.

    Raises:
        ProjectError: Neither is there, or the kubeconfig cannot be used.
    """
    from kubernetes import client, config
    from yaml import YAMLError

    settings = client.Configuration()
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ and context is None:
            config.load_incluster_config(settings)
        else:
            # The client itself looks at the variable only once, when it is imported.
            config.load_kube_config(
                os.environ.get("KUBECONFIG") or None, context, client_configuration=settings
            )
    except (config.ConfigException, YAMLError, OSError) as cause:
        raise ProjectError(f"there is no cluster to talk to: {cause}",
                           hint="Set KUBECONFIG, or run in a pod with a ServiceAccount.") from cause  # fmt: skip
    settings.retries = False  # the caller asks again where that helps, and knows how long it may take
    api = client.ApiClient(settings)
    api.user_agent = "fairlead"
    return api


def said(error: Any) -> str:
    """The API server's own words in the client's exception *error*."""
    try:
        return str(json.loads(error.body)["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)


@dataclass(frozen=True, slots=True)
class KubernetesCluster:
    """A cluster. Before each write *allowed* is asked, which raises Conflict if this process must not write."""

    api: ApiClient
    allowed: Callable[[], None] = lambda: None
    timeout: float = 5.0
    """Seconds until a request is given up."""

    def find(self, kind: str, namespace: str, labels: str) -> list[Object]:
        """All objects of *kind* that the label selector matches; none if the cluster does not know the kind."""
        try:
            answer = self._request("GET", _path(kind, namespace), query={"labelSelector": labels})
        except NotFound:
            return []
        version, _ = _PATHS[kind]
        return [{"apiVersion": version, "kind": kind, **item} for item in answer["items"]]

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """One object. Raises NotFound."""
        return self._request("GET", _path(kind, namespace, name))

    def create(self, body: Object) -> Object:
        """Make an object. Raises Conflict if there is one."""
        return self._write("POST", _path(body["kind"], body["metadata"]["namespace"]), body)

    def replace(self, body: Object) -> Object:
        """Overwrite the object that has the resourceVersion in *body*. Raises Conflict if it moved on."""
        return self._write("PUT", _path_of(body), body)

    def patch(self, kind: str, namespace: str, name: str, operations: list[Object]) -> Object:
        """Apply a JSON patch. Raises Conflict if it sets another resourceVersion than the object has."""
        return self._write("PATCH", _path(kind, namespace, name), operations, "application/json-patch+json")

    def apply(self, body: Object) -> Object:
        """Server-side apply: this manager takes the fields of *body* over. Raises Conflict if the object moved on."""
        return self._write("PATCH", _path_of(body), body, "application/apply-patch+yaml", {"force": "true"})

    def annotate(self, kind: str, namespace: str, name: str, annotations: dict[str, str]) -> None:
        """Set annotations, whatever resourceVersion the object has. Raises Conflict if there is no such object."""
        body = {"metadata": {"annotations": annotations}}
        self._write("PATCH", _path(kind, namespace, name), body, "application/merge-patch+json")

    def scale(self, namespace: str, name: str, replicas: int, version: str) -> None:
        """Set a Deployment's number of pods. Raises Conflict if the Deployment moved on."""
        body = {"metadata": {"resourceVersion": version}, "spec": {"replicas": replicas}}
        self._write(
            "PATCH", _path("Deployment", namespace, name) + "/scale", body, "application/merge-patch+json"
        )

    def _write(
        self,
        method: str,
        path: str,
        body: Any,
        content: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Object:
        self.allowed()
        try:
            return self._request(method, path, body, content, {"fieldManager": MANAGER, **(query or {})})
        except NotFound as cause:
            raise Conflict(f"{path} is not there any more") from cause

    def _request(
        self,
        method: str,
        path: str,
        body: Any = None,
        content: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Object:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            answer = self.api.call_api(
                path, method, query_params=list((query or {}).items()), body=body,
                header_params={"Accept": "application/json", "Content-Type": content},
                auth_settings=["BearerToken"], _preload_content=False, _return_http_data_only=True,
                _request_timeout=(self.timeout, self.timeout),
            )  # fmt: skip
            return dict(json.loads(answer.data))
        except ApiException as cause:
            raise _meaning(cause, method, path) from cause
        except (HTTPError, ValueError) as cause:
            raise ServiceError(f"Kubernetes does not answer: {cause}") from cause


def _path(kind: str, namespace: str, name: str = "") -> str:
    version, plural = _PATHS[kind]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")


def _path_of(body: Object) -> str:
    return _path(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])


def _meaning(error: Any, method: str, path: str) -> ServiceError | NotFound:
    """An answer of the API server as one of our errors, with the server's own words."""
    if error.status == 404:
        return NotFound(f"{path}: {said(error)}")
    if error.status == 409:
        return Conflict(f"{path}: {said(error)}")
    hint = "Give the ServiceAccount this right." if error.status in (401, 403) else ""
    return ServiceError(f"{method} {path}: {error.status} {said(error)}", hint=hint)
