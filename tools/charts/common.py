"""Values that both charts share. Keys in YAML are the camel-case of the fields here; the docstrings are the manual.

Empty stands for "not set" (``""``, ``{}``, ``[]``, ``0``), never ``null``: Helm deletes a key that is null, and a
template would then meet nothing where it expects something.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Labels = dict[str, str]
KubernetesObject = dict[str, Any]
"""Something Kubernetes defines, passed through as it is."""

Quantity = str | int | float
"""A Kubernetes quantity, such as 500m, 2 or 512Mi."""

Seconds = Field(ge=1)


class Values(BaseModel):
    """Part of a chart's values. An unknown key is an error, so that a typing error cannot be silently ignored."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


class Image(Values):
    """One image."""

    repository: str = ""
    """Name with or without a registry's host; `images.registry` takes the host's place."""

    tag: str = ""
    """Tag; empty: the chart's appVersion, because chart and images are released together."""

    digest: str = ""
    """`sha256:…`; if set, the tag is not used. Production should set it: a tag can be moved."""


class Images(Values):
    """Where images come from. A chart adds one field for each image."""

    registry: str = ""
    """Prefix of all images, such as `registry.example.com/team`: it replaces the host in every repository, so that one value
    points a whole installation at a mirror. Empty: each repository's own host."""

    pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    """Tags are never moved and digests cannot be, so an image that is present is the right one."""

    pull_secrets: list[str] = []
    """Names of Secrets of type kubernetes.io/dockerconfigjson, in the pods' namespace."""


class TopologySpread(Values):
    """One rule that spreads pods; the chart adds the labels of the pods."""

    topology_key: str
    """Node label whose values are the places, such as topology.kubernetes.io/zone."""

    max_skew: int = Field(1, ge=1)
    """Largest difference of pods between two places."""

    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"] = "ScheduleAnyway"
    """ScheduleAnyway prefers, DoNotSchedule insists and leaves pods pending where places are too few."""


class Scheduling(Values):
    """Where pods run. All but topologySpread is passed to the pod as it is."""

    node_selector: Labels = {}
    """Labels a node must have."""

    affinity: KubernetesObject = {}
    """Affinity of the pods."""

    tolerations: list[KubernetesObject] = []
    """Taints that the pods tolerate."""

    priority_class_name: str = ""
    """PriorityClass; empty: the cluster's default."""

    runtime_class_name: str = ""
    """RuntimeClass, such as gvisor or nvidia; empty: the cluster's default."""

    topology_spread: list[TopologySpread] = [
        TopologySpread(topology_key="topology.kubernetes.io/zone"),
        TopologySpread(topology_key="kubernetes.io/hostname"),
    ]
    """Spread over places. By default over zones and nodes where possible: a lost node or zone then takes part of the pods,
    and a cluster of one node still schedules them."""


class Security(Values):
    """The user of all containers. The rest of Pod Security's profile `restricted` is fixed."""

    run_as_user: int = Field(65532, ge=0)
    """Numeric user and group, the one of the images; with a name the kubelet could not verify that it is not root. 0 leaves
    it out, for clusters that assign one to each namespace (OpenShift)."""


class Trust(Values):
    """Certificate authorities of the pods' own, for a company's own TLS."""

    config_map: str = ""
    """ConfigMap with a PEM bundle; it replaces the image's bundle (SSL_CERT_FILE, REQUESTS_CA_BUNDLE and AWS_CA_BUNDLE are
    set), so it must hold all authorities that are needed. Empty: the image's bundle."""

    key: str = "ca-bundle.crt"
    """Key in the ConfigMap; the default is what OpenShift and trust-manager's examples use."""


class Proxy(Values):
    """HTTP proxies for requests that leave the cluster, as HTTP_PROXY, HTTPS_PROXY, NO_PROXY and in lower case."""

    http: str = ""
    """Proxy of http:// requests, such as http://proxy.example.com:3128."""

    https: str = ""
    """Proxy of https:// requests."""

    no_proxy: str = "localhost,127.0.0.1,.svc,.cluster.local"
    """What is asked directly; read only if a proxy is set. By default what is inside the cluster. Add the service and pod
    networks where clients use addresses."""


class ServiceAccount(Values):
    """The identity of the pods."""

    create: bool = True
    """Make a ServiceAccount. False: use the one of `name`."""

    name: str = ""
    """Its name; empty: the name of the release (with create: false, `default`)."""

    annotations: Labels = {}
    """Its annotations, such as those that give it a cloud role."""


class ChartValues(Values):
    """What both charts have at the top."""

    fullname_override: str = ""
    """Base of all names, at most 40 characters; empty: the release's name."""

    labels: Labels = {}
    """Labels added to every object, but not to pods (see podLabels): a change of them restarts nothing."""

    annotations: Labels = {}
    """Annotations added to every object, but not to pods."""

    pod_labels: Labels = {}
    """Labels added to every pod."""

    pod_annotations: Labels = {}
    """Annotations added to every pod."""

    extra_env: list[KubernetesObject] = []
    """Environment of every container, as Kubernetes writes it: a list of {name, value} or {name, valueFrom}."""

    security: Security = Security()
    scheduling: Scheduling = Scheduling()
    trust: Trust = Trust()
    proxy: Proxy = Proxy()

    extra_objects: list[KubernetesObject | str] = []
    """Objects of your own, installed with the release. They are templates: `{{ include "fairlead.fullname" . }}` works in
    them."""
