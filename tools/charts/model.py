"""Values of helm/fairlead-model: one served model."""
# ruff: noqa: RUF012 - pydantic copies defaults

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tools.charts.common import (
    ChartValues,
    Image,
    Images,
    KubernetesObject,
    Labels,
    Quantity,
    ServiceAccount,
    Values,
)


class ModelImages(Images):
    """Where images come from."""

    serve: Image = Image(repository="localhost/fairlead/serve")
    """Serves bundles of the format onnx."""

    serve_sklearn: Image = Image(repository="localhost/fairlead/serve-sklearn")
    """Serves bundles of the formats treelite and skops; larger, since it brings scipy and scikit-learn."""

    tools: Image = Image(repository="localhost/fairlead/tools")
    """Fetches and verifies the bundle, and makes the scored request of `helm test`."""


# ----------------------------------------------------------------------------------------------- bundle


class BundleVolume(Values):
    """A volume that already holds the bundle, in place of fetching it."""

    claim_name: str = ""
    """PersistentVolumeClaim in the release's namespace, readable by all nodes that serve. Empty: no volume."""

    path: str = ""
    """Folder of the bundle in the volume; empty: its root."""


class Probe(Values):
    """A request that the model must be able to answer."""

    rows: list[KubernetesObject] = []
    """Example rows, as in a request to /predict. `helm test` and the release driver send them and expect a prediction for
    each."""


class Bundle(Values):
    """The model to serve. `fairlead bundle values champion` prints this section for a registered model.

    Where it comes from is one of: `uri` (an init container fetches and verifies it), `volume`, `baked`.
    """

    name: str = ""
    """Name the bundle was built with."""

    digest: str = ""
    """The bundle's digest, 64 hexadecimal digits. Empty: there is no model yet; the release installs everything that does
    not need one."""

    uri: str = ""
    """Where an init container fetches it from: `s3://bucket/prefix/bundles/DIGEST.tar`. It verifies the digest of every
    file."""

    format: Literal["onnx", "treelite", "skops"] = "onnx"
    """Format of the model inside; it selects the image."""

    baked: bool = False
    """The bundle is inside the serving image, at /bundle; set images.serve to that image. Nothing is fetched."""

    volume: BundleVolume = BundleVolume()

    existing_secret: str = "fairlead-store"
    """Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the store, read by the init container only. It may be missing:
    credentials can come from the ServiceAccount instead."""

    environment: str = "fairlead-environment"
    """ConfigMap with AWS_ENDPOINT_URL, AWS_REGION and the like, read by the init container only. It may be missing."""

    probe: Probe = Probe()


# ---------------------------------------------------------------------------------------------- capacity


class Capacity(Values):
    """What a load test found one pod to need; the bundle's capacity file has these keys."""

    cpu: Quantity = ""
    """CPU of a pod; takes the place of resources.requests.cpu."""

    memory: Quantity = ""
    """Memory of a pod; takes the place of resources.requests.memory and resources.limits.memory."""

    replicas: int = Field(0, ge=0)
    """Pods the expected load needs; raises scale.minReplicas. 0: not known."""


class Resources(Values):
    """Resources of the serving container. Extended ones, such as nvidia.com/gpu, go into limits."""

    requests: dict[str, Quantity] = {"cpu": "250m", "memory": "512Mi"}
    """What the scheduler reserves. The default serves some thousand small requests a second with room for the model."""

    limits: dict[str, Quantity] = {"memory": "512Mi"}
    """What a pod cannot exceed. Memory as requested, so that a leak ends this pod and not its neighbours; no limit of CPU,
    because it would throttle in the middle of a request."""


class PodsMetric(Values):
    """A metric of the pods (custom.metrics.k8s.io) to scale on, served by an adapter such as prometheus-adapter."""

    name: str = ""
    """Name of the metric, such as fairlead_requests_in_flight. Empty: none."""

    average_value: Quantity = ""
    """Wanted average over the pods."""


class ScaleDown(Values):
    """How fast pods are taken away."""

    window_seconds: int = Field(300, ge=0, le=3600)
    """Only what was too much for so long is taken away; Kubernetes' default. Shorter windows flap."""

    percent: int = Field(25, ge=1, le=100)
    """Share of the pods that goes at once in a minute; a quarter, so that a wrong decision can be noticed (Kubernetes'
    default is all)."""


class ScaleUp(Values):
    """How fast pods are added."""

    window_seconds: int = Field(0, ge=0, le=3600)
    """How long a load must last before pods are added. At once by default: a pod too many costs less than requests lost."""

    percent: int = Field(100, ge=1)
    """Growth in 15 seconds; by default doubling, or 4 pods if that is more."""


class Scale(Values):
    """How many pods. Each slot has its own HorizontalPodAutoscaler: one average over both would hide an overloaded
    candidate."""

    min_replicas: int = Field(2, ge=1, le=10000)
    """Pods of the live slot at least; 2, so that the loss of one is not the loss of all."""

    max_replicas: int = Field(10, ge=1, le=10000)
    """Pods of a slot at most. During a release both slots have pods."""

    autoscale: bool = True
    """Make HorizontalPodAutoscalers. They need metrics-server, or an adapter for podsMetric. Without them a slot has
    minReplicas pods."""

    cpu_percent: int = Field(70, ge=0, le=1000)
    """Wanted CPU use, as a share of the CPU requested; 70 leaves room until new pods are ready. 0: not on CPU."""

    pods_metric: PodsMetric = PodsMetric()
    scale_down: ScaleDown = ScaleDown()
    scale_up: ScaleUp = ScaleUp()

    max_unavailable: int | str = Field(1, json_schema_extra={"not": {"enum": [0, "0", "0%"]}})
    """Pods of a slot that an eviction may take at once (PodDisruptionBudget), a number or a percentage. Never 0: nodes
    could not be drained. With one pod this allows its eviction, and a gap in service."""


# ----------------------------------------------------------------------------------------------- traffic


class Tls(Values):
    """TLS of the release's own Gateway."""

    existing_secret: str = ""
    """Secret of type kubernetes.io/tls for an HTTPS listener. Empty: an HTTP listener."""


class Gateway(Values):
    """The Gateway (gateway.networking.k8s.io) whose listeners take the traffic."""

    name: str = "gateway"
    """An existing Gateway; read if `create` is false."""

    namespace: str = "gateway-system"
    """Its namespace; its listeners must admit routes from the release's namespace."""

    section_name: str = ""
    """One listener of it; empty: all that fit."""

    create: bool = False
    """Make a Gateway of the release's own, named like the release, in its namespace. Usually one Gateway serves many models."""

    class_name: str = ""
    """GatewayClass of a Gateway made here."""

    annotations: Labels = {}
    """Annotations of a Gateway made here, such as cert-manager.io/cluster-issuer."""

    tls: Tls = Tls()


class Traffic(Values):
    """How requests get to the model, and how long they may take."""

    backend: Literal["gateway", "service"] = "gateway"
    """gateway: an HTTPRoute divides traffic by weights. service: the Service alone, whose selector is switched from slot to
    slot; for callers inside the cluster and for clusters without Gateway API."""

    gateway: Gateway = Gateway()

    host: str = ""
    """Host name of the model; empty: any host that the Gateway takes."""

    preview_host: str = ""
    """Host name under which the slot that is not live answers, before it gets traffic. Empty: no preview."""

    path_prefix: str = Field("/", pattern="^/")
    """Path under which the model answers; several models can share a host."""

    strip_prefix: bool = False
    """Take the prefix off before the request reaches the model, whose paths begin at / (/predict). Needed with a prefix
    other than /."""

    timeout_seconds: int = Field(10, ge=1, le=3600)
    """Longest time for an answer. The server ends slower requests, and a pod that stops waits so long for requests in
    flight: its grace period is derived from this."""

    propagation_seconds: int = Field(5, ge=1, le=300)
    """How long a stopping pod goes on as before, until gateways and nodes have noticed that it leaves (preStop). Raise it for
    load balancers that are told late; 15 is usual in clouds."""

    gateway_keep_alive_seconds: int = Field(90, ge=1, le=86400)
    """How long the gateway keeps an idle connection to a pod (90 s in Traefik). The server keeps its side 5 s longer: were
    it the first to close, it could do so while a request is on its way."""


class NetworkPeer(Values):
    """Somewhere on the network: pods of a namespace, or addresses."""

    namespace: str = ""
    """All pods of this namespace."""

    cidr: str = ""
    """Addresses, such as 10.0.0.0/8; read if there is no namespace."""

    port: int = Field(0, ge=0, le=65535)
    """TCP port; 0: all."""


class NetworkPolicy(Values):
    """What may reach the pods and what they may reach. Everything else is denied. Health checks by the node are always
    allowed."""

    enabled: bool = True
    """Make a NetworkPolicy. It has an effect only where the network plugin enforces it."""

    gateway_namespaces: list[str] = []
    """Namespaces of the gateway's proxies; empty: the namespace of the Gateway. With the backend `gateway` only."""

    monitoring_namespace: str = "monitoring"
    """Namespace of Prometheus, which reads /metrics."""

    platform_namespace: str = "fairlead-system"
    """Namespace of the release driver, which probes a slot before it gets traffic."""

    client_namespaces: list[str] = []
    """Namespaces whose pods may call the model directly."""

    dns: list[NetworkPeer] = [
        NetworkPeer(namespace="kube-system"),
        NetworkPeer(cidr="169.254.20.10/32"),
    ]
    """DNS servers (port 53, whatever `port` says): the cluster's, and the address of NodeLocal DNSCache."""

    store: list[NetworkPeer] = [NetworkPeer(namespace="fairlead-system", port=7070)]
    """The bundle store: by default the platform chart's. For S3 give its addresses and port 443. Not used for baked bundles
    and volumes."""

    proxies: list[NetworkPeer] = []
    """The HTTP proxies of `proxy`."""

    extra_ingress: list[KubernetesObject] = []
    """More rules for what may reach the pods, as Kubernetes writes them."""

    extra_egress: list[KubernetesObject] = []
    """More rules for what the pods may reach."""


# ------------------------------------------------------------------------------------ releases, monitoring


class ReleaseProbe(Values):
    """The scored request that a new revision must answer before it gets traffic."""

    path: str = Field("/predict", pattern="^/")
    """Path of the request; its body is bundle.probe."""

    timeout_seconds: int = Field(5, ge=1, le=60)
    """Longest time for its answer. The driver looks at no other model meanwhile."""


class Release(Values):
    """How the release driver replaces what is live (mode managed)."""

    window_seconds: int = Field(600, ge=0, le=604800)
    """How long the old slot stays warm after a switch, for a rollback without a cold start; ten minutes show most faults."""

    ready_seconds: int = Field(600, ge=1, le=604800)
    """How long a new revision may take to become ready, pulling images and fetching the bundle included."""

    profile: Literal["default", "demo"] = "default"
    """demo: short times, for demonstrations and tests."""

    probe: ReleaseProbe = ReleaseProbe()


class Rules(Values):
    """Alerts, as a PrometheusRule (monitoring.coreos.com)."""

    enabled: bool = False
    """Make the PrometheusRule; needs the Prometheus operator."""

    labels: Labels = {}
    """Its labels; many Prometheus installations select rules by one."""

    availability_percent: float = Field(99.9, gt=0, lt=100)
    """Objective: share of requests answered without a 5xx, over 30 days. The alerts watch how fast the rest, the error
    budget, burns."""

    latency_milliseconds: float = Field(50, gt=0, le=10000)
    """Objective: latencyPercent of answers take no longer. Resolved by the buckets of fairlead_request_seconds, up to 10 s."""

    latency_percent: float = Field(99, gt=0, lt=100)
    """The share of answers meant in latencyMilliseconds."""

    runbook_url: str = ""
    """Page of your runbook; `#` and the alert's name are added. Empty: the alerts point at the section Runbook of the
    chart's README."""


class Dashboard(Values):
    """A Grafana dashboard in a ConfigMap, for Grafana's dashboard sidecar."""

    enabled: bool = False
    """Make the ConfigMap."""

    labels: Labels = {"grafana_dashboard": "1"}
    """Labels by which the sidecar finds it; the default is the sidecar's."""


class Monitoring(Values):
    """Metrics, alerts, dashboard."""

    scrape: Literal["annotations", "podMonitor", "serviceMonitor", "none"] = "annotations"
    """How Prometheus finds the pods: prometheus.io annotations on them, or a PodMonitor or ServiceMonitor of the Prometheus
    operator."""

    interval: str = "15s"
    """Scrape interval of a PodMonitor or ServiceMonitor."""

    monitor_labels: Labels = {}
    """Labels of the PodMonitor or ServiceMonitor; many Prometheus installations select them by one."""

    rules: Rules = Rules()
    dashboard: Dashboard = Dashboard()


# ------------------------------------------------------------------------------------------------ static


class Slot(Values):
    """One slot of mode static."""

    bundle: Bundle = Bundle()

    image: Image = Image()
    """The serving image of this slot; what is empty here comes from images.serve or images.serveSklearn."""

    replicas: int = Field(2, ge=0)
    """Pods; with scale.autoscale the least number. 0: none, and no autoscaler."""

    weight: int = Field(0, ge=0, le=1000000)
    """Share of the traffic with the backend gateway, relative to the other slot's."""


class Static(Values):
    """Mode static: both slots by values, for those who drive by hand, or as a base for Argo Rollouts or Flagger."""

    live: Literal["blue", "green"] = "blue"
    """The slot that the Service selects. The preview host shows the other one."""

    blue: Slot = Slot(weight=100)
    green: Slot = Slot(replicas=0)


class Probes(Values):
    """Health checks: ready means that the model is loaded and warmed, live that the process answers."""

    startup_seconds: int = Field(120, ge=2)
    """How long the server may take to load the model before it is restarted. A small one takes about 3 s."""


class ModelValues(ChartValues):
    """All values of the chart."""

    mode: Literal["managed", "static"] = "managed"
    """managed: the chart says what is wanted, the release driver of fairlead-platform brings it into traffic through the
    idle slot. static: the chart renders both slots and the division of traffic from `static`."""

    bundle: Bundle = Bundle()
    """The model to serve (mode managed). `fairlead bundle values champion` prints this section for a registered model.
    Where the bundle comes from is one of: `uri` (an init container fetches and verifies it), `volume`, `baked`."""

    images: ModelImages = ModelImages()
    capacity: Capacity = Capacity()
    resources: Resources = Resources()
    scale: Scale = Scale()
    traffic: Traffic = Traffic()
    release: Release = Release()
    static: Static = Static()
    probes: Probes = Probes()
    network_policy: NetworkPolicy = NetworkPolicy()
    monitoring: Monitoring = Monitoring()
    service_account: ServiceAccount = ServiceAccount()
